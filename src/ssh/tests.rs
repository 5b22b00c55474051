//! Against what OpenSSH's own programs made: `tests/data/ssh` holds public keys, certificates and signatures.

use super::*;
use base64::{Engine as _, engine::general_purpose};
use chrono::{DateTime, Utc};
use std::{fs, path::Path};

const NAMESPACE: &str = "approval@broker.example";
/// Every kind of key that is accepted, as the files are named.
const KINDS: [&str; 7] = [
    "ed25519",
    "ecdsa256",
    "ecdsa384",
    "ecdsa521",
    "rsa3072",
    "sk_ed25519",
    "sk_ecdsa",
];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh");
    fs::read_to_string(path.join(name)).expect("a file of the test data")
}

fn message() -> Vec<u8> {
    text("message").into_bytes()
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_line(&text(&format!("{name}.pub"))).expect("a key that is accepted")
}

fn blob(name: &str) -> Vec<u8> {
    let line = text(&format!("{name}.pub"));
    let encoded = line.split_ascii_whitespace().nth(1).expect("a line");
    general_purpose::STANDARD.decode(encoded).expect("base64")
}

fn signature(name: &str) -> Signature {
    Signature::parse(&text(&format!("{name}.sig"))).expect("an armoured signature")
}

fn at(day: &str) -> DateTime<Utc> {
    format!("{day}T12:00:00Z").parse().expect("a time")
}

#[test]
fn signatures_of_every_kind_of_key_are_accepted() {
    for name in KINDS {
        let (key, signature) = (key(name), signature(name));
        assert_eq!(signature.key_blob(), key.blob(), "{name}");
        let touch = signature
            .verify(&key, NAMESPACE, &message())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(touch.is_some(), key.algorithm().in_hardware(), "{name}");
        assert!(touch.is_none_or(|touch| touch.present), "{name}");
    }
}

#[test]
fn another_purpose_message_or_key_is_refused() {
    for name in KINDS {
        let (key, signature) = (key(name), signature(name));
        let verify = |key: &PublicKey, namespace: &str, message: &[u8]| {
            signature.verify(key, namespace, message).unwrap_err()
        };
        assert_eq!(
            verify(&key, "login@broker.example", &message()),
            SignatureError::Namespace
        );
        assert_eq!(
            verify(&key, NAMESPACE, b"another plan\n"),
            SignatureError::Forged
        );
        for other in KINDS.iter().filter(|other| **other != name) {
            let other = self::key(other);
            assert_eq!(
                verify(&other, NAMESPACE, &message()),
                SignatureError::Forged
            );
        }
    }
}

#[test]
fn no_bit_can_be_changed_and_no_byte_be_missing() {
    for name in KINDS {
        let key = key(name);
        let armoured = text(&format!("{name}.sig"));
        let lines: Vec<_> = armoured.lines().collect();
        let encoded = lines[1..lines.len() - 1].concat();
        let bytes = general_purpose::STANDARD.decode(encoded).expect("base64");
        let accepted = |bytes: &[u8]| {
            let text = format!(
                "{}\n{}\n{}\n",
                lines[0],
                general_purpose::STANDARD.encode(bytes),
                lines[lines.len() - 1]
            );
            Signature::parse(&text).is_ok_and(|signature| {
                signature.key_blob() == key.blob()
                    && signature.verify(&key, NAMESPACE, &message()).is_ok()
            })
        };
        assert!(accepted(&bytes), "{name}: as it is");
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(!accepted(&changed), "{name}: bit of byte {place}");
            assert!(!accepted(&bytes[..place]), "{name}: cut at {place}");
        }
    }
}

#[test]
fn an_authenticator_that_was_not_touched_does_not_count() {
    let untouched = signature("sk_untouched").verify(&key("sk_untouched"), NAMESPACE, &message());
    assert_eq!(untouched, Err(SignatureError::Untouched));
}

#[test]
fn a_key_prints_as_it_was_read() {
    for name in KINDS {
        let key = key(name);
        let line = text(&format!("{name}.pub"));
        assert!(line.starts_with(&key.line()), "{name}");
        assert!(key.fingerprint().starts_with("SHA256:"), "{name}");
        assert_eq!(PublicKey::from_blob(key.blob()).as_ref(), Ok(&key));
        for end in 0..key.blob().len() {
            assert!(PublicKey::from_blob(&key.blob()[..end]).is_err(), "{name}");
        }
    }
}

#[test]
fn weak_unknown_and_damaged_keys_are_refused_with_a_reason() {
    let refused = |line: &str| PublicKey::from_line(line).unwrap_err();
    assert_eq!(refused(&text("rsa2048.pub")), KeyError::Bits(2_048));
    assert_eq!(refused(""), KeyError::Line);
    assert_eq!(refused("ssh-ed25519"), KeyError::Line);
    assert_eq!(refused("ssh-ed25519 not*base64"), KeyError::Line);
    let two = format!("{}{}", text("ed25519.pub"), text("ecdsa256.pub"));
    assert_eq!(refused(&two), KeyError::Line);
    let renamed = text("ed25519.pub").replacen("ssh-ed25519", "ssh-rsa", 1);
    assert!(matches!(refused(&renamed), KeyError::Malformed(_)));
    assert!(matches!(
        refused(&text("ed25519-cert.pub")),
        KeyError::Algorithm { .. }
    ));
    assert!(refused(&text("rsa2048.pub")).to_string().contains("3072"));
}

#[test]
fn a_certificate_counts_for_its_person_in_its_time_only() {
    let authorities = [key("ecdsa256"), key("ca")];
    for name in ["ed25519", "rsa3072", "sk_ecdsa", "ecdsa384"] {
        let certificate =
            Certificate::parse(&blob(&format!("{name}-cert"))).expect("a certificate");
        let (held, authority) = certificate
            .key_of(&authorities, "maya.k", at("2026-11-15"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((held, authority), (&key(name), &authorities[1]), "{name}");
        assert_eq!(certificate.serial(), 7);
        let refused = |authorities: &[PublicKey], who: &str, day: &str| match certificate.key_of(
            authorities,
            who,
            at(day),
        ) {
            Err(error) => error,
            Ok(_) => panic!("{name}: accepted"),
        };
        assert_eq!(
            refused(&authorities[..1], "maya.k", "2026-11-15"),
            CertificateError::Authority
        );
        assert_eq!(
            refused(&authorities, "tomo.s", "2026-11-15"),
            CertificateError::Principal("tomo.s".into())
        );
        for day in ["2026-10-31", "2026-12-02"] {
            assert!(matches!(
                refused(&authorities, "maya.k", day),
                CertificateError::Time { .. }
            ));
        }
    }
}

#[test]
fn a_certificate_that_is_changed_or_limited_or_of_a_host_does_not_count() {
    let authorities = [key("ca")];
    let (whole, day) = (blob("ed25519-cert"), at("2026-11-15"));
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        let counts = Certificate::parse(&changed)
            .is_ok_and(|certificate| certificate.key_of(&authorities, "maya.k", day).is_ok());
        assert!(!counts, "byte {place}");
        assert!(Certificate::parse(&whole[..place]).is_err());
    }
    let refused = |name: &str| {
        Certificate::parse(&blob(name))
            .expect("a certificate")
            .key_of(&authorities, "maya.k", day)
            .unwrap_err()
    };
    assert_eq!(refused("host-cert"), CertificateError::Host);
    assert_eq!(
        refused("option-cert"),
        CertificateError::Option("force-command".into())
    );
}

#[test]
fn a_signature_by_a_certificate_is_its_keys() {
    let signature = signature("ed25519-cert");
    assert!(Certificate::is_one(signature.key_blob()));
    let certificate = Certificate::parse(signature.key_blob()).expect("a certificate");
    let authorities = [key("ca")];
    let (held, _) = certificate
        .key_of(&authorities, "maya.k", at("2026-11-15"))
        .expect("valid");
    assert_eq!(signature.verify(held, NAMESPACE, &message()), Ok(None));
}

#[test]
fn a_key_of_our_own_signs_as_an_agent_would() {
    let own = OwnKey::generate();
    let public = own.public().clone();
    let signer = Signer::Own(std::sync::Arc::new(own));
    let identity = signer.identities().expect("one").remove(0);
    let armoured = signer.sign(&identity, NAMESPACE, b"plan").expect("signed");
    let signature = Signature::parse(&armoured).expect("armoured");
    assert_eq!(signature.verify(&public, NAMESPACE, b"plan"), Ok(None));
    assert!(armoured.lines().all(|line| line.len() <= 70));
}

#[test]
fn without_an_agent_it_says_what_to_do() {
    let words = |path: Option<&str>| {
        Signer::Agent(path.map(Into::into))
            .identities()
            .unwrap_err()
            .to_string()
    };
    assert!(words(None).contains("SSH_AUTH_SOCK"));
    assert!(words(Some("/nonexistent/agent")).contains("ssh -A"));
}
