//! Puts the console together: terminal, reader, broker, files.

use super::backend::{Options as Output, Pace, Screen};
use super::effect::Effect;
use super::event::Level;
use super::input::Reader;
use super::keymap::Keymap;
use super::link::{Broker, Sender, note, send_cached};
use super::model::{Context, Model, Shared};
use super::record::Recording;
use super::run::{ExitReason, Incoming, QUEUE, Runner, World};
use super::terminal::{Terminal, TerminalError};
use super::theme::Theme;
use super::watchdog::GRACE;
use crate::client::Client;
use crate::client::chain::Keep;
use crate::display::time::TimeFormat;
use crate::ssh::Signer;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::runtime::Handle;

/// What the console needs to begin.
pub struct Options {
    /// Signed in; if it is not, the console says so and shows what it last knew.
    pub client: Client,
    /// The broker as the settings know it, and the others.
    pub context: Context,
    /// The keys.
    pub keymap: Keymap,
    /// Colours and signs.
    pub theme: Theme,
    /// How times are written at first.
    pub time: TimeFormat,
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
    /// It took no more output.
    #[error("the console cannot write to the terminal")]
    Write(#[source] std::io::Error),
}

/// The outside of a running console.
struct Outside {
    broker: Broker,
    terminal: Arc<Terminal>,
    sender: SyncSender<Incoming>,
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

fn file_name(context: &Context) -> String {
    let url = crate::secret::digest_of(&context.url).short();
    format!("{}-{url}.columns", safe_name(context))
}

/// Runs the console until the person, a signal or the terminal ends it. Blocks; call it outside of the runtime.
///
/// # Errors
/// Only the terminal's: the broker being away does not end the console.
pub fn run(options: Options) -> Result<ExitReason, ConsoleError> {
    let (sender, incoming) = sync_channel(QUEUE);
    let cache = options
        .cache
        .as_ref()
        .map(|cache| cache.join(file_name(&options.context)));
    if let Some(path) = cache.clone() {
        let sender = sender.clone();
        std::thread::spawn(move || send_cached(&path, &sender));
    }
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

    let context = options
        .state
        .as_ref()
        .map_or_else(String::new, |_| options.context.name.clone());
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
    let input = terminal.input().map_err(ConsoleError::Terminal)?;
    let keys = sender.clone();
    let reader = Reader::start(
        input,
        move |input| drop(keys.send(Incoming::Input(input))),
        GRACE,
        terminal.last_resort(),
    )
    .map_err(ConsoleError::Reader)?;
    let checker = options.runtime.spawn(super::chain::watch(
        options.client.clone(),
        Sender(sender.clone()),
        keep,
        trusted,
        context,
    ));
    let broker = Broker::start(
        options.client,
        options.signer,
        options.runtime,
        Sender(sender.clone()),
        cache,
    );
    let outside = Outside {
        broker,
        terminal: Arc::clone(&terminal),
        sender,
        cache: options.cache,
        exports: options.exports,
    };
    let mut runner = Runner::new(Model::new(shared), screen, options.theme, outside);
    let exit = runner.run(&incoming, crate::clock::now);
    checker.abort();
    // The reader first, so that it and the terminal's way back do not read at the same time.
    drop(incoming);
    drop(reader);
    drop(runner);
    drop(terminal);
    match exit {
        Err(_) if !std::io::IsTerminal::is_terminal(&std::io::stdin()) => Ok(ExitReason::Hangup),
        exit => exit.map_err(ConsoleError::Write),
    }
}
