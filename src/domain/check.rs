//! The door: what names, scopes, texts and durations may look like. Everything is bounded, and a refusal says
//! what would be accepted.

use super::{
    Destination, FieldError, Proof,
    destination::{DESTINATION_NAME_MAX, PATH_MAX, is_path},
};
use std::{collections::BTreeMap, ops::Deref};

/// The longest stable name, in bytes.
pub const NAME_MAX: usize = 128;
/// The longest scope or audience, in bytes.
pub const SCOPE_MAX: usize = 128;
/// The most scopes, tags, groups or dependents on one object.
pub const LIST_MAX: usize = 64;
/// The longest free text, in bytes.
pub const TEXT_MAX: usize = 2_000;
/// The longest payload that a decision's signature may cover, in bytes.
pub const PAYLOAD_MAX: usize = 12 * 1024;
/// The longest armoured signature, in bytes: a certificate of RSA keys with 8,192 bits fits.
pub const SIGNATURE_MAX: usize = 6 * 1024;
/// The most entries of a locator, and the longest value of one, in bytes.
pub const LOCATOR_MAX: (usize, usize) = (8, 512);
/// The shortest life that can be asked for, in seconds.
pub const TTL_MIN_S: u64 = 60;
/// The longest life that can be asked for, in seconds: two years.
pub const TTL_MAX_S: u64 = 2 * 365 * 86_400;

/// `text` as one line of at most `max` bytes, for words that came from outside and cannot be refused any more.
pub fn clip(text: &str, max: usize) -> String {
    let mut clipped: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clipped.len() > max {
        const MARK: &str = "…";
        clipped.truncate(clipped.floor_char_boundary(max.saturating_sub(MARK.len())));
        clipped.push_str(MARK);
    }
    clipped
}

/// Whether scope pattern `wide`, which may have one `*` in it, allows all that `scope` does.
pub fn covers(wide: &str, scope: &str) -> bool {
    match wide.split_once('*') {
        Some((before, after)) => {
            scope.len() >= before.len() + after.len()
                && scope.starts_with(before)
                && scope.ends_with(after)
        }
        None => wide == scope,
    }
}

/// Collects what is wrong with one body.
#[derive(Debug, Default)]
pub struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    /// Notes that the field at `pointer` is not acceptable.
    pub fn refuse(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    /// A stable name: lower-case ASCII letters, digits and `. _ / -`, starting with a letter or digit.
    pub fn name(&mut self, pointer: &str, text: &str) {
        let shaped = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-'))
            && text
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric());
        if !shaped || text.len() > NAME_MAX {
            self.refuse(
                pointer,
                format!(
                    "expected 1 to {NAME_MAX} of a-z 0-9 . _ / -, starting with a letter or digit"
                ),
            );
        }
    }

    /// A scope, audience or issuer path: printable ASCII without spaces or quotes.
    pub fn scope(&mut self, pointer: &str, text: &str) {
        let shaped = text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'_' | b'/' | b'-' | b':' | b'*' | b'@')
        });
        if text.is_empty() || !shaped || text.len() > SCOPE_MAX {
            self.refuse(
                pointer,
                format!("expected 1 to {SCOPE_MAX} of A-Z a-z 0-9 . _ / - : * @"),
            );
        }
    }

    /// A list of distinct scopes or names of at most [`LIST_MAX`].
    pub fn scopes<T: Deref<Target = str> + PartialEq>(&mut self, pointer: &str, list: &[T]) {
        if list.len() > LIST_MAX {
            self.refuse(pointer, format!("expected at most {LIST_MAX} entries"));
            return;
        }
        for (index, scope) in list.iter().enumerate() {
            self.scope(&format!("{pointer}/{index}"), scope);
            if list[..index].contains(scope) {
                self.refuse(format!("{pointer}/{index}"), "is in the list already");
            }
        }
    }

    /// Free text: any Unicode, bounded. It is shown sanitised, never obeyed.
    pub fn text(&mut self, pointer: &str, text: &str, required: bool) {
        if text.len() > TEXT_MAX {
            self.refuse(pointer, format!("expected at most {TEXT_MAX} bytes"));
        } else if required && text.trim().is_empty() {
            self.refuse(pointer, "is needed: say why, in a few words");
        }
    }

    /// One line of at most `max` bytes: any Unicode but control characters.
    pub fn line(&mut self, pointer: &str, text: &str, max: usize) {
        if text.len() > max || text.chars().any(char::is_control) {
            self.refuse(pointer, format!("expected one line of at most {max} bytes"));
        }
    }

    /// Lines of at most `max` bytes.
    fn lines(&mut self, pointer: &str, text: &str, max: usize) {
        if text.len() > max || text.chars().any(|c| c.is_control() && c != '\n') {
            self.refuse(pointer, format!("expected lines of at most {max} bytes"));
        }
    }

    /// What shows a decision to be somebody's. Whether it is genuine was settled before.
    pub fn proof(&mut self, pointer: &str, proof: &Proof) {
        if let Proof::SshSignature(signed) = proof {
            let fingerprint = format!("{pointer}/fingerprint");
            self.line(&fingerprint, &signed.fingerprint, NAME_MAX);
            // Canonical JSON: C0 controls are escaped in it, anything else is as whoever signed wrote it.
            let canonical = signed.payload.chars().all(|c| c >= ' ');
            if signed.payload.len() > PAYLOAD_MAX || !canonical {
                self.refuse(
                    format!("{pointer}/payload"),
                    format!("expected canonical JSON of at most {PAYLOAD_MAX} bytes; give a shorter reason"),
                );
            }
            let signature = format!("{pointer}/signature");
            self.lines(&signature, &signed.signature, SIGNATURE_MAX);
            let signer = format!("{pointer}/allowed_signer");
            self.line(&signer, &signed.allowed_signer, 2 * TEXT_MAX);
        }
    }

    /// Where an issuer knows a version.
    pub fn locator(&mut self, pointer: &str, locator: &BTreeMap<String, String>) {
        let (entries, value_max) = LOCATOR_MAX;
        if locator.len() > entries {
            self.refuse(pointer, format!("expected at most {entries} entries"));
            return;
        }
        for (key, value) in locator {
            self.name(pointer, key);
            self.line(&format!("{pointer}/{key}"), value, value_max);
        }
    }

    /// A configured destination's name, and a path in it. Whether there is such a one is for the broker to say.
    pub fn destination(&mut self, pointer: &str, destination: &Destination) {
        let name = &destination.name;
        let shaped = name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if name.is_empty() || !shaped || name.len() > DESTINATION_NAME_MAX {
            self.refuse(
                format!("{pointer}/name"),
                format!("expected 1 to {DESTINATION_NAME_MAX} of a-z 0-9 -"),
            );
        }
        if !is_path(&destination.path) {
            self.refuse(
                format!("{pointer}/path"),
                format!(
                    "expected at most {PATH_MAX} of A-Z a-z 0-9 . _ - in parts divided by /, none of which begins with a dot"
                ),
            );
        }
    }

    /// A life in seconds.
    pub fn ttl(&mut self, pointer: &str, seconds: u64) {
        if !(TTL_MIN_S..=TTL_MAX_S).contains(&seconds) {
            self.refuse(
                pointer,
                format!("expected {TTL_MIN_S} to {TTL_MAX_S} seconds"),
            );
        }
    }

    /// The first thing that was found, in words.
    pub fn complaint(self) -> Option<String> {
        self.errors.into_iter().next().map(|error| error.detail)
    }

    /// What was found.
    ///
    /// # Errors
    /// [`super::Refusal::Invalid`] with every field that was refused.
    pub fn finish(self) -> Result<(), super::Refusal> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(super::Refusal::Invalid(self.errors))
        }
    }
}
