//! The world of a command: where it writes, what it may ask, and what is known of the terminal. Passed
//! in, so that tests need no process.

use std::io::{BufRead, IsTerminal, Write};

use chrono::{DateTime, Utc};

use crate::config::{Variables, variables};

/// Which of the three streams are a terminal, and its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Somebody can be asked.
    pub stdin: bool,
    /// Somebody reads what is printed.
    pub stdout: bool,
    /// Somebody reads the messages.
    pub stderr: bool,
    /// Columns and rows, where there is a terminal.
    pub size: Option<(u16, u16)>,
}

/// A command's world.
pub struct Io {
    /// What was asked for goes here.
    pub out: Box<dyn Write + Send>,
    /// Messages go here.
    pub err: Box<dyn Write + Send>,
    /// Answers come from here.
    pub input: Box<dyn BufRead + Send>,
    /// What is known of the terminal.
    pub terminal: Terminal,
    /// Environment variables.
    pub variables: Variables,
    /// When the command was given; what `ago` is counted from.
    pub now: DateTime<Utc>,
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("terminal", &self.terminal)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Io {
    /// The process's own streams and variables.
    pub fn process() -> Self {
        let size = crossterm::terminal::size().ok();
        let terminal = Terminal {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
            size: size.filter(|(columns, rows)| *columns > 0 && *rows > 0),
        };
        Self {
            out: Box::new(std::io::BufWriter::new(std::io::stdout())),
            err: Box::new(std::io::stderr()),
            input: Box::new(std::io::BufReader::new(std::io::stdin())),
            terminal,
            variables: Variables::from_process(),
            now: crate::clock::now(),
        }
    }

    /// Whether what is printed may have colour.
    pub fn colour(&self) -> bool {
        self.terminal.stdout && self.may_colour()
    }

    /// Whether messages may have colour.
    pub fn colour_messages(&self) -> bool {
        self.terminal.stderr && self.may_colour()
    }

    fn may_colour(&self) -> bool {
        !self.variables.has(variables::NO_COLOR)
            && self.variables.get(variables::TERM) != Some("dumb")
    }

    /// Whether somebody is there to answer a question.
    pub fn can_ask(&self) -> bool {
        self.terminal.stdin && self.terminal.stderr
    }

    /// The columns that a table may take; no bound where nobody reads it on a screen.
    pub fn columns(&self) -> Option<usize> {
        let (columns, _) = self.terminal.size.filter(|_| self.terminal.stdout)?;
        Some(usize::from(columns).max(40))
    }

    /// Asks for one line and takes it without its end; `None` at the end of the input.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn ask(&mut self, question: &str) -> std::io::Result<Option<String>> {
        write!(self.err, "{question}")?;
        self.err.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}
