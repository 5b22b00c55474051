//! The two commands that open the console: `countersign` alone, and `countersign demo`.

use color_eyre::eyre::{Report, WrapErr as _, eyre};
use countersign::{
    cli::{self, Cli, DemoArgs, Global, Io},
    config::{
        Config, EnvironmentWord, Target, Theme as ThemeWord, TimeFormat as TimeWord, variables,
    },
    console::{
        keymap::Keymap,
        model::Context,
        run::ExitReason,
        start::{self, Options},
        theme::Theme,
    },
    demo::{self, Demo},
    display::time::TimeFormat,
    ssh::Signer,
    wire::Environment,
};
use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};
use tokio::runtime::Runtime;

/// Without a terminal there is nothing to draw on: the overview is printed instead.
fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Opens the console on the configured broker.
pub fn console(runtime: &Runtime, cli: Cli) -> Result<ExitCode, Report> {
    if has_terminal() {
        open(runtime, cli.global, None)
    } else {
        Ok(runtime.block_on(cli::run(cli, Io::process())))
    }
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
    let global = Global {
        url: Some(demo.url.clone()),
        ..cli.global.clone()
    };
    let code = if args.no_console {
        runtime.block_on(serve_only(&demo))
    } else if has_terminal() {
        open(runtime, global, Some(&demo))
    } else {
        let overview = Cli {
            global,
            command: None,
        };
        Ok(runtime.block_on(cli::run(overview, world(Some(&demo)))))
    };
    runtime.block_on(demo.stop());
    code
}

/// Says how to sign in and waits for Ctrl-C.
async fn serve_only(demo: &Demo) -> Result<ExitCode, Report> {
    let line = serde_json::json!({ "address": demo.url, "token": demo.token.expose() });
    writeln!(io::stdout(), "{line}").wrap_err("printing the address")?;
    tokio::signal::ctrl_c()
        .await
        .wrap_err("waiting for Ctrl-C")?;
    Ok(ExitCode::SUCCESS)
}

/// The process's own world; the demo's token takes the place of a login.
fn world(demo: Option<&Demo>) -> Io {
    let mut io = Io::process();
    if let Some(demo) = demo {
        io.variables = io.variables.with(variables::TOKEN, demo.token.expose());
    }
    io
}

/// Opens the console, and again on every context that is switched to.
fn open(runtime: &Runtime, mut global: Global, demo: Option<&Demo>) -> Result<ExitCode, Report> {
    loop {
        let mut io = world(demo);
        let (config, target) = cli::for_console(&global, &mut io)?;
        let no_color = io.variables.has(variables::NO_COLOR);
        let options = Options {
            context: context(&config, &target, demo),
            keymap: Keymap::with(&config.keys)?,
            theme: Theme::from_settings(
                theme_word(config.ui.theme),
                &BTreeMap::new(),
                config.ui.ascii,
                no_color,
            )
            .map_err(|error| eyre!("ui.theme: {error}"))?,
            time: match config.ui.time {
                TimeWord::Ago => TimeFormat::Ago,
                TimeWord::Utc => TimeFormat::Utc,
                TimeWord::Local => TimeFormat::Local,
            },
            notify: config.ui.notify,
            clock: false,
            cache: demo.is_none().then(cache).flatten(),
            // An address without a configured context is nobody's to remember: the next broker there is another.
            state: (demo.is_none() && config.contexts.contains_key(&target.name))
                .then(state)
                .flatten(),
            exports: env::current_dir().wrap_err("finding the folder for exports")?,
            term: env::var("TERM").unwrap_or_default(),
            signer: match demo {
                Some(demo) => demo.signer.clone(),
                None => Signer::Agent(
                    io.variables
                        .get(variables::SSH_AUTH_SOCK)
                        .map(PathBuf::from),
                ),
            },
            runtime: runtime.handle().clone(),
        };
        match start::run(options, cli::connect(global.clone(), io, target))? {
            ExitReason::Quit | ExitReason::Hangup | ExitReason::Unusable => {
                return Ok(ExitCode::SUCCESS);
            }
            // As a shell reports a death by signal.
            ExitReason::Terminated(signal) => {
                return Ok(ExitCode::from(
                    u8::try_from(128 + signal).unwrap_or(u8::MAX),
                ));
            }
            ExitReason::Switch(name) => {
                global = Global {
                    context: Some(name),
                    url: None,
                    ca_file: None,
                    token_file: None,
                    ..global
                };
            }
        }
    }
}

fn context(config: &Config, target: &Target, demo: Option<&Demo>) -> Context {
    Context {
        name: if demo.is_some() {
            "demo".into()
        } else {
            target.name.clone()
        },
        url: target.context.url.clone(),
        environment: match target.context.environment {
            Some(EnvironmentWord::Production) => Some(Environment::Production),
            Some(EnvironmentWord::Staging) => Some(Environment::Staging),
            Some(EnvironmentWord::Development) => Some(Environment::Development),
            // The demo's company has production; the word keeps its keys as careful as a real one's.
            None => demo.map(|_| Environment::Production),
        },
        others: config
            .contexts
            .keys()
            .filter(|name| **name != target.name)
            .cloned()
            .collect(),
        verifier_key: target.context.verifier_key.clone(),
        read_only: target.context.read_only,
    }
}

fn theme_word(theme: ThemeWord) -> &'static str {
    match theme {
        ThemeWord::Default => "default",
        ThemeWord::ColourBlind => "blue-orange",
        ThemeWord::HighContrast => "high-contrast",
        ThemeWord::Mono => "mono",
    }
}

/// `$XDG_CACHE_HOME/countersign`, else `~/.cache/countersign`: the last known list, never a secret.
fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("countersign"))
}

/// `$XDG_STATE_HOME/countersign`, else `~/.local/state/countersign`: the checkpoints that were seen, a folder a
/// context.
fn state() -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("countersign"))
}
