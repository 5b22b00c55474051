//! Signed heads: C2SP signed-note with tlog-checkpoint text, Ed25519 (type 0x01), the key name being
//! the log's origin. Signing, parsing, verifying; and the verifier key's one-line form.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::merkle::{EMPTY_ROOT, Hash, sha256};

pub use super::signing_key::{KeyError, SigningKey};

/// The signature type of a log's key: plain Ed25519 over the note's text.
pub(super) const ED25519_TYPE: u8 = 0x01;
/// Notes longer than this (bytes) or with more signatures are refused unread.
const MAX_NOTE: usize = 1 << 20;
const MAX_SIGNATURES: usize = 64;
const DASH: &str = "\u{2014} ";

/// A tree's size and the root over its leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root.
    pub root: Hash,
}

impl Head {
    /// The head of the log without leaves.
    pub const EMPTY: Self = Self {
        size: 0,
        root: EMPTY_ROOT,
    };

    /// The text that is signed: `origin`, size and root, a line each.
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, BASE64.encode(self.root))
    }
}

/// Why a note or checkpoint is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form that the specification requires; says which part.
    #[error("not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// Another log's checkpoint.
    #[error("checkpoint of {found:?}, not of {expected:?}")]
    ForeignOrigin { expected: String, found: String },
    /// No signature by the trusted key.
    #[error("no signature by the trusted key of {0:?}")]
    NotSigned(String),
    /// A line claims to be by the trusted key and does not verify.
    #[error("the signature by {0:?} does not verify")]
    BadSignature(String),
}

/// Not a verifier key of a supported type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a verifier key: {0}")]
pub struct VerifierKeyError(&'static str);

/// A log's public key: `name+8 hex digits of the key id+base64(type || key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    pub(super) fn new(name: &str, public: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError(
                "the name is empty, too long or has a space or '+'",
            ));
        }
        let mut hashed = name.as_bytes().to_vec();
        hashed.extend_from_slice(&[b'\n', ED25519_TYPE]);
        hashed.extend_from_slice(&public);
        let hash = sha256(&hashed);
        Ok(Self {
            name: name.to_owned(),
            id: [hash[0], hash[1], hash[2], hash[3]],
            public,
        })
    }

    /// The key's name, which is the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id that signature lines start with.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// A short fingerprint for people to compare: the key id in hex.
    pub fn fingerprint(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id))
    }

    /// Parses a note, and requires this key's signature over it and, as its origin, this key's name.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = split_note(note)?;
        let checkpoint = Checkpoint::parse(text, note)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::ForeignOrigin {
                expected: self.name.clone(),
                found: checkpoint.origin,
            });
        }
        if self.check(text, signatures)? {
            Ok(checkpoint)
        } else {
            Err(NoteError::NotSigned(self.name.clone()))
        }
    }

    /// Whether this key signed the text. A line by this key that does not verify sinks the note;
    /// lines by keys we do not know are passed over.
    fn check(&self, text: &str, signatures: &str) -> Result<bool, NoteError> {
        let mut signed = false;
        for (count, line) in signatures.lines().enumerate() {
            if count == MAX_SIGNATURES {
                return Err(NoteError::Malformed("too many signatures"));
            }
            let (name, blob) = line
                .strip_prefix(DASH)
                .and_then(|line| line.split_once(' '))
                .filter(|(name, _)| is_key_name(name))
                .ok_or(NoteError::Malformed("a signature line"))?;
            let blob = BASE64
                .decode(blob)
                .map_err(|_| NoteError::Malformed("a signature's base64"))?;
            let (id, signature) = blob
                .split_first_chunk::<4>()
                .filter(|(_, signature)| !signature.is_empty())
                .ok_or(NoteError::Malformed("a signature is too short"))?;
            if name == self.name && *id == self.id {
                UnparsedPublicKey::new(&ED25519, self.public)
                    .verify(text.as_bytes(), signature)
                    .map_err(|_| NoteError::BadSignature(self.name.clone()))?;
                signed = true;
            }
        }
        Ok(signed)
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[ED25519_TYPE], self.public.as_slice()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.fingerprint(),
            BASE64.encode(key)
        )
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        // The base64 may itself hold a '+': only the first two split.
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError("it is not name+id+key"));
        };
        let key = BASE64
            .decode(key)
            .map_err(|_| VerifierKeyError("the key is not base64"))?;
        let public = match key.split_first() {
            Some((&ED25519_TYPE, public)) => public
                .try_into()
                .map_err(|_| VerifierKeyError("an Ed25519 key has 32 bytes"))?,
            _ => {
                return Err(VerifierKeyError(
                    "only Ed25519 log keys (type 1) are supported",
                ));
            }
        };
        let parsed = Self::new(name, public)?;
        if parsed.fingerprint() != id {
            return Err(VerifierKeyError("the key id does not match the key"));
        }
        Ok(parsed)
    }
}

/// A head that was signed, with the note it was signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Size and root.
    pub head: Head,
    /// The note, signatures included, as it was published.
    pub note: String,
}

impl Checkpoint {
    /// Signs a head. Whoever calls answers for not signing two that are inconsistent.
    pub(super) fn sign(key: &SigningKey, head: Head) -> Self {
        let origin = key.verifier_key().name().to_owned();
        let text = head.text(&origin);
        let blob = [
            key.verifier_key().id().as_slice(),
            &key.sign(text.as_bytes()),
        ]
        .concat();
        let note = format!("{text}\n{DASH}{origin} {}\n", BASE64.encode(blob));
        Self { origin, head, note }
    }

    fn parse(text: &str, note: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Malformed("it needs three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(NoteError::Malformed("an empty line"));
        }
        let head = Head {
            size: parse_decimal(size).ok_or(NoteError::Malformed("the size"))?,
            root: BASE64
                .decode(root)
                .ok()
                .and_then(|root| root.try_into().ok())
                .ok_or(NoteError::Malformed("the root hash"))?,
        };
        if head.size == 0 && head.root != EMPTY_ROOT {
            return Err(NoteError::Malformed("an empty log with a root"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            head,
            note: note.to_owned(),
        })
    }
}

/// A number without sign or leading zeros.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

fn is_key_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (1..=255).contains(&name.len()) && !name.contains(bad)
}

/// The signed text, with its final newline, and the signature lines. The last blank line splits.
fn split_note(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::Malformed("it is too long"));
    }
    if note.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed("a control character"));
    }
    if !note.ends_with('\n') {
        return Err(NoteError::Malformed("it is cut short"));
    }
    let cut = note
        .rfind("\n\n")
        .ok_or(NoteError::Malformed("no signatures"))?;
    let (text, signatures) = (&note[..=cut], &note[cut + 2..]);
    if signatures.is_empty() {
        return Err(NoteError::Malformed("no signatures"));
    }
    Ok((text, signatures))
}

#[cfg(test)]
mod tests {
    use super::super::merkle::leaf_hash;
    use super::*;

    const FOO: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const FOO_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, &[seed; 32]).unwrap()
    }

    fn head() -> Head {
        Head {
            size: 70,
            root: leaf_hash(b"x"),
        }
    }

    #[test]
    fn published_notes_verify_and_altered_ones_do_not() {
        for (vkey, note) in [(FOO, FOO_NOTE), (NEUMANN, NEUMANN_NOTE)] {
            let key: VerifierKey = vkey.parse().unwrap();
            assert_eq!(key.to_string(), vkey);
            let (text, signatures) = split_note(note).unwrap();
            assert_eq!(key.check(text, signatures), Ok(true));
            assert_eq!(
                key.check(&text.replace('e', "E"), signatures),
                Err(NoteError::BadSignature(key.name().to_owned()))
            );
        }
    }

    #[test]
    fn other_verifier_keys_are_refused() {
        for text in [
            "",
            "name",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
            "example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_signed_checkpoint_opens_under_its_key_only() {
        let signing = key("log.example/audit", 1);
        let checkpoint = Checkpoint::sign(&signing, head());
        let vkey: VerifierKey = signing.verifier_key().to_string().parse().unwrap();
        assert_eq!(vkey.open(&checkpoint.note), Ok(checkpoint.clone()));

        let same_name = key("log.example/audit", 2);
        assert_eq!(
            same_name.verifier_key().open(&checkpoint.note),
            Err(NoteError::NotSigned("log.example/audit".into()))
        );
        let other = key("log.example/other", 1);
        assert!(matches!(
            other.verifier_key().open(&checkpoint.note),
            Err(NoteError::ForeignOrigin { .. })
        ));
        let larger = checkpoint.note.replacen("70", "71", 1);
        assert!(matches!(
            vkey.open(&larger),
            Err(NoteError::BadSignature(_))
        ));
    }

    #[test]
    fn lines_by_strangers_are_passed_over_but_one_bad_line_of_ours_is_not() {
        let signing = key("log.example/audit", 1);
        let vkey = signing.verifier_key();
        let good = Checkpoint::sign(&signing, head()).note;
        let mut witnessed = good.clone();
        for n in 0..20 {
            let stranger = Checkpoint::sign(&key(&format!("w{n}.example"), 9), head()).note;
            witnessed.push_str(stranger.rsplit_once("\n\n").unwrap().1);
        }
        assert_eq!(vkey.open(&witnessed).map(|c| c.head), Ok(head()));
        let forged = Checkpoint::sign(&signing, Head { size: 71, ..head() }).note;
        let both = good + forged.rsplit_once("\n\n").unwrap().1;
        assert!(matches!(vkey.open(&both), Err(NoteError::BadSignature(_))));
    }

    #[test]
    fn malformed_checkpoints_are_refused_even_when_signed() {
        let signing = key("log.example/audit", 1);
        let good = Checkpoint::sign(&signing, head()).note;
        let text = head().text("log.example/audit");
        let resign = |text: &str| {
            let id = signing.verifier_key().id();
            let blob = [id.as_slice(), &signing.sign(text.as_bytes())];
            format!(
                "{text}\n{DASH}log.example/audit {}\n",
                BASE64.encode(blob.concat())
            )
        };
        assert!(signing.verifier_key().open(&resign(&text)).is_ok());
        for bad in [
            resign(&text.replace("70", "070")),
            resign(&text.replace("\n70", "\n+70")),
            resign(&text.replace("70", "99999999999999999999")),
            resign(&text.replace("\n70\n", "\n0\n")),
            resign(&format!("{text}\u{1}\n")),
            resign(&text[..text.len() - 6]),
            good.trim_end().to_owned(),
            good.replace('\u{2014}', "-"),
            text.clone(),
            format!("{text}\n"),
            String::new(),
        ] {
            let opened = signing.verifier_key().open(&bad);
            assert!(
                matches!(opened, Err(NoteError::Malformed(_))),
                "{bad:?}: {opened:?}"
            );
        }
        let unnamed = resign(&format!("\n{text}"));
        assert!(signing.verifier_key().open(&unnamed).is_err());
    }
}
