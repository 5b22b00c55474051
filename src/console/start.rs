//! Puts the console together: terminal, reader, broker, files.

use super::backend::{Options as Output, Pace, Screen};
use super::effect::Effect;
use super::event::Level;
use super::input::Reader;
use super::keymap::Keymap;
use super::known::{Keeper, Known};
use super::link::{Broker, Connection, Sender, note, send_cached};
use super::model::{Context, Model, Shared};
use super::record::Recording;
use super::run::{ExitReason, Incoming, QUEUE, Runner, World};
use super::terminal::{Terminal, TerminalError};
use super::theme::Theme;
use super::watchdog::GRACE;
use crate::client::Access;
use crate::client::chain::Keep;
use crate::display::time::TimeFormat;
use crate::ssh::Signer;
use parking_lot::Mutex;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use tokio::runtime::Handle;

/// What the console needs to begin.
pub struct Options {
    /// The broker as the settings know it, and the others.
    pub context: Context,
    /// The keys.
    pub keymap: Keymap,
    /// Colours and signs.
    pub theme: Theme,
    /// How times are written at first.
    pub time: TimeFormat,
    /// How the terminal is asked for a desktop notification.
    pub notify: crate::config::Notify,
    /// Row 1 counts seconds.
    pub clock: bool,
    /// The directory for the last known list and for recordings; none keeps nothing.
    pub cache: Option<PathBuf>,
    /// The directory for what is remembered of brokers' logs; none remembers nothing.
    pub state: Option<PathBuf>,
    /// The directory that exports are written to.
    pub exports: PathBuf,
    /// The value of `TERM`.
    pub term: String,
    /// What decisions are signed with.
    pub signer: Signer,
    /// The runtime that calls run on.
    pub runtime: Handle,
}

/// Why the console could not run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal could not be taken.
    #[error("the console cannot take the terminal")]
    Terminal(#[source] TerminalError),
    /// Its input could not be read.
    #[error("the console cannot read the keyboard")]
    Reader(#[source] super::input::ReaderError),
    /// The broker cannot even be asked: its address, its certificates or the token that was given is wrong.
    #[error(transparent)]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
    /// It took no more output.
    #[error("the console cannot write to the terminal")]
    Write(#[source] std::io::Error),
}

/// The outside of a running console.
struct Outside {
    broker: Broker,
    terminal: Arc<Terminal>,
    sender: Sender,
    cache: Option<PathBuf>,
    exports: PathBuf,
}

/// Opens a new file for this user alone; a file that is there already is not touched.
fn write_new(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)
}

impl World for Outside {
    fn carry_out(&mut self, effect: Effect) {
        let Some(other) = self.broker.carry_out(effect) else {
            return;
        };
        if let Effect::Export { stem, ending, text } = other {
            let at = crate::clock::now().format("%Y%m%dT%H%M%S%3fZ");
            let path = self
                .exports
                .join(format!("countersign-{stem}-{at}.{ending}"));
            let (level, told) = match write_new(&path, text.as_bytes()) {
                Ok(()) => (Level::Good, format!("written to {}", path.display())),
                Err(error) => (
                    Level::Bad,
                    format!("cannot write {}: {error}", path.display()),
                ),
            };
            note(&self.sender, level, told);
        }
    }

    fn suspend(&mut self) -> bool {
        self.terminal.suspend().unwrap_or(false)
    }

    fn dump(&mut self, recording: &Recording) -> Result<String, String> {
        let directory = self.cache.as_ref().ok_or("there is no cache directory")?;
        let text = serde_json::to_vec(recording).map_err(|error| error.to_string())?;
        let at = crate::clock::now().format("%Y%m%dT%H%M%S%3fZ");
        let path = directory.join(format!("recording-{at}.json"));
        std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        write_new(&path, &text).map_err(|error| error.to_string())?;
        Ok(path.display().to_string())
    }
}

/// A file name that a context's name cannot lead elsewhere with.
fn safe_name(context: &Context) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    context.name.chars().map(safe).take(64).collect()
}

fn file_name(context: &Context, ending: &str) -> String {
    let url = crate::secret::digest_of(&context.url).short();
    format!("{}-{url}.{ending}", safe_name(context))
}

/// Runs the console until the person, a signal or the terminal ends it. Blocks; call it outside of the runtime.
///
/// The terminal is taken and what was last known painted first. Only then `connect` makes the client, beside the
/// screen: signed in if there is a login; if there is none, the console says so and shows what it last knew.
///
/// # Errors
/// The terminal's and those of `connect`: the broker being away does not end the console.
pub fn run<E>(
    options: Options,
    connect: impl Future<Output = Result<Access, E>> + Send + 'static,
) -> Result<ExitReason, ConsoleError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (queue, incoming) = sync_channel(QUEUE);
    let sender = Sender::new(queue.clone());
    let terminal = Arc::new(Terminal::enter().map_err(ConsoleError::Terminal)?);
    let (width, height) = terminal.size();
    let writer = terminal.writer().map_err(ConsoleError::Terminal)?;
    let screen = Screen::new(
        writer,
        width,
        height,
        Output::for_term(&options.term),
        Pace::default(),
    );
    terminal.expect_answers(screen.open_questions());
    let input = terminal.input().map_err(ConsoleError::Terminal)?;
    let reader = Reader::start(
        input,
        move |input| drop(queue.send(Incoming::Input(input))),
        GRACE,
        terminal.last_resort(),
    )
    .map_err(ConsoleError::Reader)?;

    let kept = |ending: &str| {
        let cache = options.cache.as_ref()?;
        Some(cache.join(file_name(&options.context, ending)))
    };
    let (list, known) = (kept("columns"), kept("known"));
    let begin = known.as_deref().and_then(Known::load);
    let (made, connection) = Connection::pending();
    let broker = Broker::start(
        connection.clone(),
        options.signer,
        options.runtime.clone(),
        sender.clone(),
        list.clone(),
        Keeper::new(known),
    );
    let heard = broker.heard();
    let outside = Outside {
        broker,
        terminal: Arc::clone(&terminal),
        sender: sender.clone(),
        cache: options.cache,
        exports: options.exports,
    };
    let remembers = options.state.is_some();
    let name = options.context.name.clone();
    // By name alone, so that another address under the same name does not escape what was seen of its log.
    let remembered = safe_name(&options.context);
    let keep = options
        .state
        .map_or_else(Keep::nowhere, |state| Keep::new(state.join(remembered)));
    let trusted = options.context.verifier_key.clone();
    let seed = uuid::Uuid::now_v7().as_u128();
    let mut shared = Shared::new(options.context, crate::clock::now(), (width, height), seed);
    shared.keymap = options.keymap;
    shared.time = options.time;
    shared.clock = options.clock;
    shared.ascii = options.theme.glyphs.ascii;
    let mut runner = Runner::new(Model::new(shared), screen, options.theme, outside);
    runner.notify = options.notify;
    runner
        .begin(begin, crate::clock::now())
        .map_err(ConsoleError::Write)?;

    let unusable = Arc::new(Mutex::new(None));
    let (failed, told) = (Arc::clone(&unusable), sender.clone());
    let handle = options.runtime.clone();
    // It reads files and may be held there: not on a thread that others need.
    options
        .runtime
        .spawn_blocking(move || match handle.block_on(connect) {
            Ok(access) => drop(made.send(Some(access))),
            Err(error) => {
                *failed.lock() = Some(error);
                handle.block_on(told.pass(Incoming::End(ExitReason::Unusable)));
            }
        });
    let (mut connected, told) = (connection, sender.clone());
    let checker = options.runtime.spawn(async move {
        if let Some(client) = connected.client().await {
            let context = if remembers { name } else { String::new() };
            super::chain::watch(client, told, keep, trusted, context, heard).await;
        }
    });
    if let Some(path) = list {
        let handle = options.runtime.clone();
        options
            .runtime
            .spawn_blocking(move || send_cached(&path, &sender, &handle));
    }
    let exit = runner.run(&incoming, crate::clock::now);
    checker.abort();
    // The reader first, so that it and the terminal's way back do not read at the same time.
    drop(incoming);
    drop(reader);
    drop(runner);
    drop(terminal);
    if let Some(error) = unusable.lock().take() {
        return Err(ConsoleError::Unusable(Box::new(error)));
    }
    match exit {
        Err(_) if !std::io::IsTerminal::is_terminal(&std::io::stdin()) => Ok(ExitReason::Hangup),
        exit => exit.map_err(ConsoleError::Write),
    }
}
