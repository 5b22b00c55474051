//! The two commands that open the console: `countersign` alone, and `countersign demo`.

use color_eyre::eyre::{Report, WrapErr as _};
use countersign::{
    cli::{
        self, Io,
        args::{Cli, DemoArgs},
    },
    config::{Variables, variables},
    demo::{self, Demo},
};
use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};
use tokio::runtime::Runtime;

/// Without a terminal there is nothing to draw on: the overview is printed instead.
fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Opens the console on the configured broker.
pub fn console(runtime: &Runtime, cli: Cli) -> Result<ExitCode, Report> {
    if !has_terminal() {
        return Ok(runtime.block_on(cli::run(cli, Io::process())));
    }
    Ok(runtime.block_on(cli::run(cli, Io::process())))
}

/// Starts the demo's company and opens the console on it.
pub fn demo(runtime: &Runtime, args: &DemoArgs, cli: &Cli) -> Result<ExitCode, Report> {
    let options = demo::Options {
        credentials: usize::try_from(args.credentials).wrap_err("counting credentials")?,
        seed: args.seed,
        rate: args.rate,
        listen: args.listen,
    };
    let demo = runtime.block_on(demo::start(options))?;
    let code = if args.no_console {
        runtime.block_on(serve_only(&demo))?
    } else {
        let mut io = Io::process();
        io.variables = Variables::of([(variables::TOKEN.name, demo.token.expose())]);
        let mut global = cli.global.clone();
        global.url = Some(demo.url.clone());
        let overview = Cli { global, command: None };
        runtime.block_on(cli::run(overview, io))
    };
    runtime.block_on(demo.stop());
    Ok(code)
}

/// Says how to sign in and waits for Ctrl-C.
async fn serve_only(demo: &Demo) -> Result<ExitCode, Report> {
    let line = serde_json::json!({ "address": demo.url, "token": demo.token.expose() });
    writeln!(io::stdout(), "{line}").wrap_err("printing the address")?;
    tokio::signal::ctrl_c().await.wrap_err("waiting for Ctrl-C")?;
    Ok(ExitCode::SUCCESS)
}
