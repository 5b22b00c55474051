//! Opaque tokens, `cs_<label>_<43 base62><6 base62>`: 256 random bits and a CRC-32 over everything before it.
//! The fixed prefix lets secret scanners find a leaked one; the checksum catches a typo without asking anybody.

use super::SecretMaterial;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_DIGITS: usize = 43; // 62^43 > 2^256
const CHECK_DIGITS: usize = 6; // 62^6 > 2^32
const LABEL_MAX: usize = 16;

/// What can be read off a well-formed token without knowing whether it was ever issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// The environment (`prod`) or the purpose (`opr`) that the token was minted for.
    pub label: &'a str,
}

/// Why a text is not one of our tokens. Never holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with `cs_<label>_`.
    #[error("not a Countersign token: it must begin with cs_ and a label, such as cs_prod_")]
    Prefix,
    /// Characters are missing or too many.
    #[error(
        "the token is cut short or has something added: expected 49 characters after the label"
    )]
    Length,
    /// A character that no token has.
    #[error("the token has a character that is neither a letter nor a digit")]
    Alphabet,
    /// The last six characters do not fit the rest.
    #[error("the token's checksum is wrong: it was mistyped or damaged")]
    Checksum,
}

/// Mints a token with this label, from the operating system's random source.
///
/// `label` is one to sixteen of `a-z0-9`; anything else in it is left out, and an empty one becomes `key`,
/// so that minting cannot fail on a name.
pub fn mint_token(label: &str) -> SecretMaterial {
    let mut clean: String = label
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        .take(LABEL_MAX)
        .collect();
    if clean.is_empty() {
        clean.push_str("key");
    }
    // Room for all of it at once, so that no outgrown buffer with half a secret is left in the heap.
    let mut text = String::with_capacity(4 + LABEL_MAX + RANDOM_DIGITS + CHECK_DIGITS);
    text.push_str("cs_");
    text.push_str(&clean);
    text.push('_');
    push_random_digits(&mut text);
    let check = check_digits(text.as_bytes());
    text.push_str(std::str::from_utf8(&check).expect("the alphabet is ASCII"));
    SecretMaterial::new(text)
}

/// A password for a machine: 256 random bits in letters and digits, which every program takes as they are.
pub fn mint_password() -> SecretMaterial {
    let mut text = String::with_capacity(RANDOM_DIGITS);
    push_random_digits(&mut text);
    SecretMaterial::new(text)
}

/// Checks the form and the checksum; no lookup, so it says nothing about whether the token is valid.
pub fn parse_token(text: &str) -> Result<Token<'_>, Malformed> {
    let rest = text.strip_prefix("cs_").ok_or(Malformed::Prefix)?;
    let (label, secret) = rest.split_once('_').ok_or(Malformed::Prefix)?;
    let label_ok = (1..=LABEL_MAX).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !label_ok {
        return Err(Malformed::Prefix);
    }
    if secret.chars().count() != RANDOM_DIGITS + CHECK_DIGITS {
        return Err(Malformed::Length);
    }
    if !secret.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Malformed::Alphabet);
    }
    let (body, check) = text.split_at(text.len() - CHECK_DIGITS);
    if check_digits(body.as_bytes()) != check.as_bytes() {
        return Err(Malformed::Checksum);
    }
    Ok(Token { label })
}

/// Rejection sampling: 248 is the largest multiple of 62 in a byte, so every digit is equally likely.
fn push_random_digits(text: &mut String) {
    let random = SystemRandom::new();
    let mut bytes = Zeroizing::new([0_u8; 64]);
    let mut missing = RANDOM_DIGITS;
    while missing > 0 {
        random
            .fill(&mut *bytes)
            .expect("the operating system's random source answers");
        for byte in bytes.iter().filter(|byte| **byte < 248).take(missing) {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
            missing -= 1;
        }
    }
}

fn check_digits(body: &[u8]) -> [u8; CHECK_DIGITS] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECK_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn minted_tokens_are_well_formed_and_differ() {
        let (one, two) = (mint_token("prod"), mint_token("prod"));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), "cs_prod_".len() + 49);
        assert_eq!(parse_token(one.expose()), Ok(Token { label: "prod" }));
        assert_eq!(
            parse_token(mint_token("").expose()),
            Ok(Token { label: "key" })
        );
        assert_eq!(
            parse_token(mint_token("Ünder_score!9").expose()),
            Ok(Token {
                label: "nderscore9"
            })
        );
    }

    #[test]
    fn every_digit_turns_up_about_as_often() {
        let mut seen = [0_u32; 62];
        for _ in 0..2_000 {
            let token = mint_token("x");
            for digit in &token.expose().as_bytes()[5..5 + RANDOM_DIGITS] {
                seen[ALPHABET.iter().position(|a| a == digit).unwrap()] += 1;
            }
        }
        // 86 000 digits, 1387 expected each, standard deviation 37: seven of those leave no false alarm.
        assert!(seen.iter().all(|n| (1_128..=1_646).contains(n)), "{seen:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let token = mint_token("opr");
        let text = token.expose();
        assert_eq!(parse_token("ghp_abc"), Err(Malformed::Prefix));
        assert_eq!(parse_token("cs_PROD_abc"), Err(Malformed::Prefix));
        assert_eq!(parse_token(&text[..text.len() - 1]), Err(Malformed::Length));
        assert_eq!(parse_token(&format!("{text} ")), Err(Malformed::Length));
        assert_eq!(
            parse_token(&format!("{}-{}", &text[..20], &text[21..])),
            Err(Malformed::Alphabet)
        );
        assert_eq!(
            parse_token(&text.replacen("opr", "opx", 1)),
            Err(Malformed::Checksum)
        );
    }

    proptest! {
        #[test]
        fn a_single_typo_or_swap_is_always_caught(at in 7_usize..56, with in 0_usize..62) {
            let token = mint_token("opr");
            let mut changed = token.expose().as_bytes().to_vec();
            changed[at] = ALPHABET[with];
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(parse_token(&changed).is_ok(), changed == token.expose());
        }

        #[test]
        fn any_text_gets_an_answer(text in ".{0,80}") {
            prop_assert!(parse_token(&text).is_err());
        }
    }
}
