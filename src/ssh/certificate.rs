//! OpenSSH user certificates: a key that a certification authority vouches for, for a while and for some names. After
//! OpenSSH's `PROTOCOL.certkeys`.

use super::key::{Algorithm, KeyError, PublicKey, skip};
use super::wire::{Malformed, Reader};
use chrono::{DateTime, Utc};

/// The end of a certificate's type.
const SUFFIX: &str = "-cert-v01@openssh.com";
/// The kind of certificate that people have; the other one is for hosts.
const USER: u32 = 1;

/// Why a certificate does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate, or a damaged one.
    #[error("the certificate is damaged")]
    Malformed,
    /// For a key that is not accepted.
    #[error("the certificate is for a key that is not accepted: {0}")]
    Key(#[from] KeyError),
    /// For a host.
    #[error("this is a host's certificate, not a person's")]
    Host,
    /// By an authority that is not trusted here, or not by it at all.
    #[error("the certificate is not by a certification authority that this broker trusts")]
    Authority,
    /// Not for this person.
    #[error("the certificate is not for {0}")]
    Principal(String),
    /// Not valid yet, or no longer.
    #[error("the certificate is not valid at this time: it is from {from} until {until}")]
    Time {
        /// From when, seconds of Unix time.
        from: u64,
        /// Until when, seconds of Unix time.
        until: u64,
    },
    /// It may only be used under a condition that cannot be met here.
    #[error("the certificate is limited by {0}, which cannot be kept here")]
    Option(String),
}

impl From<Malformed> for CertificateError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A user certificate, taken apart but not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    key: PublicKey,
    serial: u64,
    kind: u32,
    principals: Vec<String>,
    from: u64,
    until: u64,
    options: Vec<String>,
    authority: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// Whether a key's bytes are a certificate's.
    pub fn is_one(blob: &[u8]) -> bool {
        Reader(blob).text().is_ok_and(|word| word.ends_with(SUFFIX))
    }

    /// Reads a certificate as it travels.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`] or [`CertificateError::Key`].
    pub fn parse(blob: &[u8]) -> Result<Self, CertificateError> {
        let mut fields = Reader(blob);
        let word = fields.text()?;
        let algorithm = word
            .strip_suffix(SUFFIX)
            // The two kinds in authenticators end in the domain once, behind the rest.
            .and_then(|stem| {
                Algorithm::named(stem).or_else(|| Algorithm::named(&format!("{stem}@openssh.com")))
            })
            .ok_or(CertificateError::Malformed)?;
        fields.string()?; // the nonce
        let before = fields.0;
        skip(algorithm, &mut fields)?;
        let key = PublicKey::from_fields(algorithm, &before[..before.len() - fields.0.len()])?;
        let (serial, kind) = (fields.u64()?, fields.u32()?);
        fields.string()?; // the key's identifier, free text
        let mut names = Reader(fields.string()?);
        let mut principals = Vec::new();
        while !names.0.is_empty() {
            principals.push(names.text()?.to_owned());
        }
        let (from, until) = (fields.u64()?, fields.u64()?);
        let mut critical = Reader(fields.string()?);
        let mut options = Vec::new();
        while !critical.0.is_empty() {
            options.push(critical.text()?.to_owned());
            critical.string()?;
        }
        fields.string()?; // extensions: what a shell may do
        fields.string()?; // reserved
        let authority = fields.string()?.to_vec();
        let signed = blob[..blob.len() - fields.0.len()].to_vec();
        let signature = fields.string()?.to_vec();
        fields.end()?;
        Ok(Self {
            key,
            serial,
            kind,
            principals,
            from,
            until,
            options,
            authority,
            signed,
            signature,
        })
    }

    /// The certificate's number.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The key that it says it is for; nobody has vouched for that yet.
    pub(super) fn into_key(self) -> PublicKey {
        self.key
    }

    /// The key that it is for, if one of `authorities` vouches for it as `principal`'s at `now`; and the authority.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn key_of<'a>(
        &self,
        authorities: &'a [PublicKey],
        principal: &str,
        now: DateTime<Utc>,
    ) -> Result<(&PublicKey, &'a PublicKey), CertificateError> {
        let authority = authorities
            .iter()
            .find(|known| known.blob() == self.authority)
            .ok_or(CertificateError::Authority)?;
        authority
            .accepts(&self.signature, &self.signed)
            .map_err(|_| CertificateError::Authority)?;
        if self.kind != USER {
            return Err(CertificateError::Host);
        }
        // An empty list would mean everybody.
        if !self.principals.iter().any(|name| name == principal) {
            return Err(CertificateError::Principal(principal.to_owned()));
        }
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        if seconds < self.from || seconds >= self.until {
            return Err(CertificateError::Time {
                from: self.from,
                until: self.until,
            });
        }
        if let Some(option) = self.options.first() {
            return Err(CertificateError::Option(option.clone()));
        }
        Ok((&self.key, authority))
    }
}
