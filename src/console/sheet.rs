//! Asking before anything changes. A sheet is bound to the objects it was drawn from, by identifier and
//! sequence; it says what will happen, takes a reason and, in production, the target's typed name, and only
//! once all of that is done there is a key that sends. Enter never does, and neither does the key that opened it.

use super::edit::{Edit, Line};
use super::effect::Action;
use serde::{Deserialize, Serialize};

/// Longest reason, in bytes; the broker takes no longer one.
pub const REASON_MAX: usize = 2_000;

/// One thing that the sheet is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// What is done to what.
    pub action: Action,
    /// The name that people know the object by.
    pub name: String,
    /// The sequence of the object when the sheet was drawn.
    pub sequence: u64,
    /// Once sent: the key by which the outbox knows it.
    pub sent: Option<String>,
}

/// A line of the sheet's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `ON`, `FOR`, `UNDO`; may be empty.
    pub label: String,
    /// Never cut: it is wrapped.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    /// As it stands.
    Plain,
    /// What a reader should see first.
    Strong,
    /// Wants attention.
    Warn,
    /// Someone else's words.
    Quote,
    /// Explanation.
    Muted,
}

impl Fact {
    /// A plain line.
    pub fn new(label: &str, text: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
            tone: Tone::Plain,
        }
    }

    /// The same line, meant otherwise.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// What a field wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Words for the log.
    Reason {
        /// Whether it may stay empty.
        required: bool,
    },
    /// Exactly this text, typed; a paste is refused.
    Confirm(String),
}

/// A field of the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What to write here.
    pub label: String,
    /// What it wants.
    pub kind: FieldKind,
    /// What was written.
    pub line: Line,
    /// Why the last thing typed was not taken.
    pub refused: Option<String>,
}

impl Field {
    /// A reason, kept in the log.
    pub fn reason(required: bool) -> Self {
        let label = if required {
            "Reason (kept in the log)"
        } else {
            "Reason (kept in the log; may stay empty)"
        };
        Self {
            label: label.into(),
            kind: FieldKind::Reason { required },
            line: Line::default(),
            refused: None,
        }
    }

    /// The target's name, typed.
    pub fn confirm(name: &str) -> Self {
        Self {
            label: format!("Type {name} to go on"),
            kind: FieldKind::Confirm(name.into()),
            line: Line::default(),
            refused: None,
        }
    }

    /// Whether it holds what it wants.
    pub fn done(&self) -> bool {
        match &self.kind {
            FieldKind::Reason { required } => !required || !self.line.text().trim().is_empty(),
            FieldKind::Confirm(expected) => self.line.text() == expected,
        }
    }

    fn apply(&mut self, edit: &Edit) {
        self.refused = None;
        match (&self.kind, edit) {
            (FieldKind::Confirm(_), Edit::Paste(_)) => {
                self.refused = Some("typed, not pasted: reading it is the point".into());
            }
            (FieldKind::Confirm(expected), _) => {
                self.line.apply(edit, expected.len() + 16);
            }
            (FieldKind::Reason { .. }, _) => {
                self.line.apply(edit, REASON_MAX);
            }
        }
    }
}

/// A sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// What it is: `APPROVE`, `REVOKE pg-ledger-rw`.
    pub title: String,
    /// What will happen, in the order in which a person decides.
    pub facts: Vec<Fact>,
    /// What is to be filled in.
    pub fields: Vec<Field>,
    /// What is done, all of it by one press.
    pub targets: Vec<Target>,
    /// What the commit key does: `sign and send`.
    pub verb: String,
    /// The field that takes the typing.
    pub focus: usize,
    /// Lines scrolled away above.
    pub scroll: usize,
    /// An object has changed since the sheet was drawn: what happened to it. Nothing can be sent any more.
    pub moved: Option<String>,
}

impl Sheet {
    /// A sheet that does `targets` once `fields` are done.
    pub fn new(title: impl Into<String>, verb: &str, targets: Vec<Target>) -> Self {
        Self {
            title: title.into(),
            facts: Vec::new(),
            fields: Vec::new(),
            targets,
            verb: verb.into(),
            focus: 0,
            scroll: 0,
            moved: None,
        }
    }

    /// With these lines.
    #[must_use]
    pub fn facts(mut self, facts: Vec<Fact>) -> Self {
        self.facts = facts;
        self
    }

    /// With this field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Whether it was sent, whatever came of it.
    pub fn sent(&self) -> bool {
        self.targets.iter().any(|target| target.sent.is_some())
    }

    /// Why it cannot be sent yet; `None` once it can.
    pub fn missing(&self) -> Option<String> {
        if self.sent() {
            return Some("sent already".into());
        }
        if let Some(what) = &self.moved {
            return Some(format!(
                "it has changed since you looked ({what}): esc, and look again"
            ));
        }
        let open: Vec<String> = (1..)
            .zip(&self.fields)
            .filter(|(_, field)| !field.done())
            .map(|(number, _)| number.to_string())
            .collect();
        (!open.is_empty()).then(|| format!("still to do: {}", open.join(" and ")))
    }

    /// The reason that was written.
    pub fn reason(&self) -> String {
        self.fields
            .iter()
            .find(|field| matches!(field.kind, FieldKind::Reason { .. }))
            .map_or_else(String::new, |field| field.line.text().trim().to_owned())
    }

    /// Types into the field that has the focus; nothing can be typed once sent.
    pub fn edit(&mut self, edit: &Edit) {
        if self.sent() {
            return;
        }
        if let Some(field) = self.fields.get_mut(self.focus) {
            field.apply(edit);
        }
    }

    /// Moves the focus by `step` fields, round the end.
    pub fn step(&mut self, step: isize) {
        let count = self.fields.len() as isize;
        if count > 0 {
            self.focus = (self.focus as isize + step).rem_euclid(count) as usize;
        }
    }

    /// An object now has this sequence, because of `what`.
    pub fn object_moved(&mut self, subject: &str, sequence: u64, what: &str) {
        let bound = |target: &Target| {
            target.sent.is_none()
                && target.action.subject() == subject
                && target.sequence < sequence
        };
        if !self.sent() && self.targets.iter().any(bound) {
            self.moved = Some(what.to_owned());
        }
    }
}
