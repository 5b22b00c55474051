//! The loop: one ordered queue of input and events, one place that carries effects out, and a picture only
//! when nothing waits and something changed.
//!
//! The queue holds `QUEUE` items. When it is full, the terminal's reader waits (the terminal then holds the
//! keys), and so does whoever brings events (the broker's stream then waits at its end of the line); nothing is
//! dropped. Everything that waits is taken before a picture is made, so a hundred keys cost one.

use super::backend::{Painted, Screen};
use super::command::Command;
use super::effect::Effect;
use super::event::{Event, Level, LinkState};
use super::input::{Input, Key};
use super::keys::{Keys, is_masked};
use super::known::Known;
use super::model::Model;
use super::record::{Recorder, Recording};
use super::theme::Theme;
use super::update::update;
use super::view::view;
use super::widgets::prompt::{Prompt, Typed};
use crate::config::Notify;
use crate::secret::Malformed;
use crate::wire::columns::Block;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Items that may wait.
pub const QUEUE: usize = 4_096;
/// Between pictures of what arrives by itself.
const LIVE: Duration = Duration::from_millis(100);
/// From the last key to the telling of what the cursor is on. Keys that are held come closer together than this,
/// so that meanwhile the list moves alone; a pause for reading is longer.
pub const REST: Duration = Duration::from_millis(120);
/// The largest text for the clipboard, in bytes; terminals take no more.
const COPY_MAX: usize = 74_994;

/// What comes in, in the order in which it came.
#[derive(Debug)]
pub enum Incoming {
    /// From the terminal.
    Input(Input),
    /// From everything else.
    Event(Event),
    /// Rows of a long list. Dropping the permit lets the next ones come.
    Rows(Box<Block>, OwnedSemaphorePermit),
    /// The console cannot go on.
    End(ExitReason),
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The person wanted it.
    Quit,
    /// The person wants another context, by name.
    Switch(String),
    /// A signal.
    Terminated(i32),
    /// The terminal is gone.
    Hangup,
    /// The broker's address, its certificates or the token that was given cannot be used.
    Unusable,
}

/// Carries out what is not the screen's: calls, files, the link.
pub trait World {
    /// Does it, without waiting: answers come as events.
    fn carry_out(&mut self, effect: Effect);

    /// Gives the terminal back until continued. `false` if nobody could continue us.
    fn suspend(&mut self) -> bool {
        false
    }

    /// Writes the recording down and says where, or why not.
    fn dump(&mut self, _recording: &Recording) -> Result<String, String> {
        Err("recordings are not kept here".into())
    }
}

/// The console over any writer and any world.
pub struct Runner<W: Write, T: World> {
    /// What is known and shown.
    pub model: Model,
    /// The screen that it is shown on.
    pub screen: Screen<W>,
    /// The outside.
    pub world: T,
    /// How the terminal is asked for a desktop notification.
    pub notify: Notify,
    theme: Theme,
    keys: Keys,
    masked: Prompt,
    recorder: Recorder,
    exit: Option<ExitReason>,
    painted_at: Option<Instant>,
    /// When the cursor will have rested, if it is on something new.
    rests_at: Option<Instant>,
    /// A key or a size came since the last picture: it is drawn at once.
    urgent: bool,
    /// Anything came since the last picture.
    dirty: bool,
}

impl<W: Write, T: World> Runner<W, T> {
    /// Ready to begin.
    pub fn new(model: Model, screen: Screen<W>, theme: Theme, world: T) -> Self {
        Self {
            model,
            screen,
            world,
            notify: Notify::Off,
            theme,
            keys: Keys::default(),
            masked: Prompt::masked(),
            recorder: Recorder::default(),
            exit: None,
            painted_at: None,
            rests_at: None,
            urgent: true,
            dirty: true,
        }
    }

    /// Paints the first picture: what was last known, before anything has been asked.
    ///
    /// # Errors
    /// What the writer says.
    pub fn begin(&mut self, known: Option<Known>, now: DateTime<Utc>) -> io::Result<()> {
        if let Some(known) = known {
            self.event(&Event::Known(Box::new(known)))?;
        }
        self.paint(now)
    }

    /// Runs until something ends it. `now` reads the clock.
    ///
    /// # Errors
    /// What the writer says.
    pub fn run(
        &mut self,
        incoming: &Receiver<Incoming>,
        now: impl Fn() -> DateTime<Utc>,
    ) -> io::Result<ExitReason> {
        loop {
            match incoming.recv_timeout(self.wait(now())) {
                Ok(first) => {
                    self.tick(now());
                    let rows = matches!(first, Incoming::Rows(..));
                    self.take(first)?;
                    if !rows {
                        self.drain(incoming)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.dirty = true,
                // Everyone who could send is gone, and with them the terminal's reader.
                Err(RecvTimeoutError::Disconnected) => return Ok(ExitReason::Hangup),
            }
            if let Some(exit) = self.exit.take() {
                return Ok(exit);
            }
            self.rest(Instant::now())?;
            self.paint(now())?;
        }
    }

    fn drain(&mut self, incoming: &Receiver<Incoming>) -> io::Result<()> {
        // As many as the queue holds: whoever sends without end does not keep the screen from being drawn.
        for _ in 0..QUEUE {
            match incoming.try_recv() {
                Ok(next) if self.exit.is_none() => {
                    let rows = matches!(next, Incoming::Rows(..));
                    self.take(next)?;
                    // More of them is on its way by now: between two blocks the screen has its turn.
                    if rows {
                        break;
                    }
                }
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Takes one thing that came.
    ///
    /// # Errors
    /// What the writer says.
    pub fn take(&mut self, incoming: Incoming) -> io::Result<()> {
        match incoming {
            Incoming::Event(event) => {
                self.dirty = true;
                // What streams in is drawn at its pace, what was waited for at once.
                self.urgent |=
                    matches!(event, Event::Reply(..) | Event::Loaded(_) | Event::Note(..));
                self.event(&event)?;
                self.await_rest(false);
            }
            Incoming::Rows(block, permit) => {
                self.dirty = true;
                self.urgent |= self.model.shared.fleet.is_empty();
                self.event(&Event::Rows(block))?;
                self.await_rest(false);
                drop(permit);
            }
            Incoming::End(reason) => self.exit = Some(reason),
            Incoming::Input(input) => {
                let pressed = matches!(input, Input::Key(_) | Input::Paste(_));
                self.input(input)?;
                self.await_rest(pressed);
            }
        }
        Ok(())
    }

    /// Every key lets the cursor rest anew; what comes by itself does not.
    fn await_rest(&mut self, pressed: bool) {
        let rest = || Instant::now() + REST;
        self.rests_at = match self.rests_at {
            _ if !self.model.screens.get(self.model.current).unrested() => None,
            Some(at) if !pressed => Some(at),
            _ => Some(rest()),
        };
    }

    /// Says that the cursor has rested, if by `at` it has.
    ///
    /// # Errors
    /// What the writer says.
    pub fn rest(&mut self, at: Instant) -> io::Result<()> {
        if self.rests_at.is_none_or(|rests| at < rests) {
            return Ok(());
        }
        self.rests_at = None;
        (self.dirty, self.urgent) = (true, true);
        self.event(&Event::Rested)
    }

    fn input(&mut self, input: Input) -> io::Result<()> {
        if input == Input::StatusOk {
            self.screen.answered();
            return Ok(());
        }
        self.dirty = true;
        self.urgent = true;
        match input {
            Input::Key(key) => {
                for key in self.keys.apart(key, &self.model).into_iter().flatten() {
                    self.key(key)?;
                }
                Ok(())
            }
            Input::Paste(paste) if is_masked(&self.model) => {
                self.masked.paste(&paste);
                self.event(&Event::Masked(self.masked.len()))
            }
            Input::Paste(paste) => {
                if paste.cut {
                    self.event(&Event::Note(
                        Level::Info,
                        "more was pasted than was taken".into(),
                    ))?;
                }
                self.event(&Event::Edit(super::edit::Edit::Paste(paste.text.clone())))
            }
            Input::Resize { width, height } => {
                self.screen.resize(width, height);
                self.event(&Event::Resized(width, height))
            }
            Input::Resumed => {
                self.screen.invalidate();
                Ok(())
            }
            Input::Suspend => self.effect(Effect::Suspend),
            Input::Terminate(signal) => {
                self.exit = Some(ExitReason::Terminated(signal));
                Ok(())
            }
            Input::Hangup => {
                self.exit = Some(ExitReason::Hangup);
                Ok(())
            }
            Input::Focus(_) | Input::StatusOk => Ok(()),
        }
    }

    fn key(&mut self, key: Key) -> io::Result<()> {
        if is_masked(&self.model) {
            match self.masked.key(key) {
                Typed::Done => return self.event(&Event::Command(Command::Open)),
                Typed::Cancelled => return self.event(&Event::Command(Command::Back)),
                Typed::NotMine => {}
                _ => return self.event(&Event::Masked(self.masked.len())),
            }
        }
        match self.keys.press(key, &self.model) {
            Some(event) => self.event(&event),
            None => Ok(()),
        }
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.recorder.take(&mut self.model, event);
        for effect in update(&mut self.model, event) {
            self.effect(effect)?;
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Quit => self.exit = Some(ExitReason::Quit),
            Effect::SwitchContext(name) => self.exit = Some(ExitReason::Switch(name)),
            Effect::Redraw => self.screen.invalidate(),
            Effect::Bell => self.screen.pass(b"\x07", Instant::now())?,
            Effect::Title(title) => {
                let title = crate::display::sanitize::safe(&title).into_owned();
                let bytes = format!("\x1b]2;countersign: {title}\x1b\\");
                self.screen.pass(bytes.as_bytes(), Instant::now())?;
            }
            Effect::Notify(text) => {
                if let Some(bytes) = notification(self.notify, &text) {
                    self.screen.pass(bytes.as_bytes(), Instant::now())?;
                }
            }
            Effect::Copy(text) => {
                use base64::Engine as _;
                let text = &text[..text.floor_char_boundary(COPY_MAX)];
                let coded = base64::engine::general_purpose::STANDARD.encode(text);
                let bytes = format!("\x1b]52;c;{coded}\x1b\\");
                self.screen.pass(bytes.as_bytes(), Instant::now())?;
            }
            Effect::Suspend => {
                if self.world.suspend() {
                    self.screen.invalidate();
                } else {
                    let note = "there is no shell to suspend to".into();
                    self.event(&Event::Note(Level::Info, note))?;
                }
            }
            Effect::ClearMasked => drop(self.masked.take_secret()),
            Effect::HashMasked => {
                let secret = self.masked.take_secret();
                let digest = crate::secret::digest_of(secret.expose_secret());
                // Keys that others made may begin like ours, so that it is looked for all the same.
                if let Err(damaged) = crate::secret::parse_token(secret.expose_secret())
                    && damaged != Malformed::Prefix
                {
                    let text = format!("{damaged}; looked for all the same");
                    self.event(&Event::Note(Level::Bad, text))?;
                }
                self.event(&Event::Hashed(digest))?;
            }
            Effect::DumpRecording => {
                let recording = self.recorder.recording();
                let notice = recording.as_ref().and_then(Recording::notice);
                let told = match recording.map(|recording| self.world.dump(&recording)) {
                    Some(Ok(path)) => {
                        let notice =
                            notice.map_or_else(String::new, |notice| format!("; {notice}"));
                        Event::Note(Level::Good, format!("the recording is in {path}{notice}"))
                    }
                    Some(Err(why)) => Event::Note(Level::Bad, format!("no recording: {why}")),
                    None => Event::Note(Level::Info, "nothing was recorded yet".into()),
                };
                self.event(&told)?;
            }
            other => self.world.carry_out(other),
        }
        Ok(())
    }

    fn tick(&mut self, now: DateTime<Utc>) {
        let event = Event::Tick(now);
        self.recorder.take(&mut self.model, &event);
        for effect in update(&mut self.model, &event) {
            self.world.carry_out(effect);
        }
    }

    /// Brings lists up to date and draws, if there is reason and room to.
    ///
    /// # Errors
    /// What the writer says.
    pub fn paint(&mut self, now: DateTime<Utc>) -> io::Result<()> {
        let at = Instant::now();
        let rested = self.painted_at.is_none_or(|last| at - last >= LIVE);
        if !self.dirty || !(self.urgent || rested) || !self.screen.may_paint(at) {
            return Ok(());
        }
        self.tick(now);
        self.await_rest(false);
        let (model, theme) = (&self.model, &self.theme);
        if self.screen.draw(at, |frame| view(model, frame, theme))? != Painted::Held {
            self.painted_at = Some(at);
            self.urgent = false;
            // Work that is only partly done goes on at once, but behind whatever was typed meanwhile.
            self.dirty = self.busy();
            self.urgent = self.dirty;
        }
        Ok(())
    }

    fn busy(&self) -> bool {
        self.model.screens.get(self.model.current).busy()
    }

    /// How long nothing has to be done by itself.
    fn wait(&mut self, now: DateTime<Utc>) -> Duration {
        let at = Instant::now();
        if self.dirty {
            // Something is to be drawn: as soon as pace and line allow.
            let live = match self.painted_at {
                Some(last) if !self.urgent => LIVE.saturating_sub(at - last),
                _ => Duration::ZERO,
            };
            if self.screen.may_paint(at) {
                return live;
            }
            let deadline = self.screen.deadline();
            return deadline
                .map_or(LIVE, |deadline| deadline.saturating_duration_since(at))
                .max(live);
        }
        let next = next_tick(&self.model) - now;
        let next = next.to_std().unwrap_or(Duration::from_millis(50));
        let rest = self
            .rests_at
            .map(|rests| rests.saturating_duration_since(at));
        rest.map_or(next, |rest| rest.min(next))
    }
}

/// When the passing of time next changes what is shown.
pub fn next_tick(model: &Model) -> DateTime<Utc> {
    let shared = &model.shared;
    let after = |seconds: i64| {
        // Whole steps of the clock, so that several reasons share one waking.
        let at = shared.now.timestamp() / seconds * seconds + seconds;
        DateTime::from_timestamp(at, 0).unwrap_or(shared.now + TimeDelta::seconds(seconds))
    };
    let mut next = after(if shared.clock { 1 } else { 60 });
    if let Some(seconds) = model.screens.get(model.current).tick_s(shared) {
        next = next.min(after(i64::from(seconds.max(1))));
    }
    if matches!(shared.link, LinkState::Offline { .. }) {
        next = next.min(after(5));
    }
    if let Some(end) = &shared.session_end {
        next = end.next(shared.now).map_or(next, |at| next.min(at));
        // The last minutes are counted down.
        if super::session::ending(shared).is_some() {
            next = next.min(after(5));
        }
    }
    if let Some(toast) = shared.toasts.iter().map(|toast| toast.until).min() {
        next = next.min(toast);
    }
    next
}

/// What asks a terminal for a notification. Semicolons part the fields of OSC 777, so they are commas in its text.
fn notification(notify: Notify, text: &str) -> Option<String> {
    let text = crate::display::sanitize::safe(text);
    match notify {
        Notify::Off => None,
        Notify::Osc9 => Some(format!("\x1b]9;countersign: {text}\x1b\\")),
        Notify::Osc777 => Some(format!(
            "\x1b]777;notify;countersign;{}\x1b\\",
            text.replace(';', ",")
        )),
    }
}
