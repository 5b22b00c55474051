//! Read arguments, pick a command, run it, report errors.

use clap::Parser as _;
use color_eyre::eyre::{Report, WrapErr as _};
use countersign::{
    broker::{
        listen::{TlsFiles, listen},
        serve::{Broker, Options},
    },
    cli::{
        self,
        args::{Cli, Command, ServeArgs},
    },
    config::BrokerConfig,
};
use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

mod interactive;

/// How long the end waits for threads that are busy; idle ones leave at once.
const LEAVING: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The console draws on a thread of its own; beside it one is enough, and wakes nobody else.
    let workers = cli.command.is_none().then_some(1);
    let runtime = match start(workers) {
        Ok(runtime) => runtime,
        Err(error) => return report(&error),
    };
    let done = match cli.command {
        Some(Command::Serve(ref args)) => runtime.block_on(serve(args)),
        Some(Command::Demo(ref args)) => interactive::demo(&runtime, args, &cli),
        None => interactive::console(&runtime, cli),
        Some(_) => Ok(runtime.block_on(cli::run(cli, cli::Io::process()))),
    };
    // Threads that still run while the process takes down its libraries can crash it, after all was done and said; one
    // that waits for the network must not keep it either.
    runtime.shutdown_timeout(LEAVING);
    done.unwrap_or_else(|error| report(&error))
}

fn start(workers: Option<usize>) -> Result<Runtime, Report> {
    // One backend for all of TLS. It can only be set once, and this is the only place.
    let _set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    builder
        .enable_all()
        .build()
        .wrap_err("starting the runtime")
}

fn report(error: &Report) -> ExitCode {
    let words: Vec<_> = error.chain().map(ToString::to_string).collect();
    // With standard error gone there is nobody left to tell.
    let _gone = writeln!(io::stderr(), "countersign: {}", words.join(": "));
    ExitCode::FAILURE
}

/// Runs the broker until it is told to stop.
async fn serve(args: &ServeArgs) -> Result<ExitCode, Report> {
    // The log goes to standard error as lines of JSON: standard output carries the one line of the start.
    tracing_subscriber::fmt()
        .json()
        .with_writer(io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
                .unwrap_or_else(|_| "info,rustls_platform_verifier=warn".into()),
        )
        .init();
    // Listening for the signals comes first: a stop during the start must not be lost.
    let mut terminate = signal(SignalKind::terminate()).wrap_err("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).wrap_err("listening for SIGINT")?;
    let config = match &args.config {
        Some(path) => BrokerConfig::load(path)?,
        None => BrokerConfig::default(),
    };
    let options = Options {
        data: args.data.clone(),
        origin: args.origin.clone(),
        now: countersign::clock::now(),
        admin_token_file: args.admin_token_file.clone(),
        config,
    };
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let broker = Broker::open(&options).await?;
    let limits = &options.config.limits;
    let listening = listen(broker.engine.clone(), limits, args.listen, tls).await?;
    let line = serde_json::json!({
        "address": listening.url,
        "origin": broker.engine.origin(),
        "verifier_key": broker.engine.verifier_key(),
    });
    writeln!(io::stdout(), "{line}").wrap_err("printing the address")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    broker.stop().await;
    listening.stop().await;
    Ok(ExitCode::SUCCESS)
}
