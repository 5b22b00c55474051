//! When a server's certificate ends. For `doctor` only: the certificate is read even if it cannot be
//! trusted, and nothing but an empty request without a token is sent to its owner.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The end of the certificate that the server at this address shows.
///
/// # Errors
/// Why it could not be read, in words.
pub async fn end(url: &str) -> Result<DateTime<Utc>, String> {
    let client = reqwest::Client::builder()
        .tls_info(true)
        .tls_danger_accept_invalid_certs(true)
        .tls_danger_accept_invalid_hostnames(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| error.to_string())?;
    let response = client
        .get(format!("{}/healthz", url.trim_end_matches('/')))
        .send()
        .await
        .map_err(|_| "could not be read: no TLS connection".to_owned())?;
    let info = response.extensions().get::<reqwest::tls::TlsInfo>();
    let der = info
        .and_then(|info| info.peer_certificate())
        .ok_or("the server showed none")?;
    not_after(der).ok_or_else(|| "it is not of a form that can be read".to_owned())
}

/// `notAfter` of a DER certificate (RFC 5280): Certificate, tbsCertificate, then past version, serial
/// number, signature and issuer to validity.
fn not_after(der: &[u8]) -> Option<DateTime<Utc>> {
    const SEQUENCE: u8 = 0x30;
    let (certificate, _) = value(der, SEQUENCE)?;
    let (mut fields, _) = value(certificate, SEQUENCE)?;
    if fields.first() == Some(&0xa0) {
        (_, fields) = value(fields, 0xa0)?;
    }
    (_, fields) = value(fields, 0x02)?;
    (_, fields) = value(fields, SEQUENCE)?;
    (_, fields) = value(fields, SEQUENCE)?;
    let (validity, _) = value(fields, SEQUENCE)?;
    let (_, after) = any(validity)?;
    let tag = *after.first()?;
    let (text, _) = any(after)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // UTCTime: two digits of the year, 50 and later are of the last century.
        0x17 if text.get(..2)? < "50" => format!("20{text}"),
        0x17 => format!("19{text}"),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

/// The content of the value with this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    (*der.first()? == tag).then(|| any(der))?
}

fn any(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // At most three bytes of length: no certificate has 16 MiB.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = bytes
                .iter()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (year, expected) in [
            (2031, "2031-02-03T00:00:00+00:00"),
            (2061, "2061-02-03T00:00:00+00:00"),
        ] {
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 2, 3);
            let key = rcgen::KeyPair::generate().unwrap();
            let der = params.self_signed(&key).unwrap().der().to_vec();
            assert_eq!(not_after(&der).unwrap().to_rfc3339(), expected);
            for cut in 0..60 {
                assert_eq!(not_after(&der[..cut]), None, "{cut}");
            }
        }
        assert_eq!(not_after(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
