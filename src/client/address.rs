//! Which addresses a token may be sent to, and which certificates prove who is there.

use std::net::IpAddr;

use reqwest::Url;

use super::error::{ClientError, tame};

/// The address, when a token may be sent there.
///
/// # Errors
/// [`ClientError::Address`], saying what would be accepted; never with a password in it.
pub(super) fn check_address(text: &str) -> Result<Url, ClientError> {
    let refuse = |reason: &str| ClientError::Address {
        url: tame(text),
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| {
        refuse(&format!(
            "{error}; expected https://HOST[:PORT], or http:// on loopback"
        ))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Address {
            url: "(with a name or password in it)".to_owned(),
            reason: "sign in with a token instead".to_owned(),
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("an address has no ? and no #"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(refuse(
            "plain http would show the token to the network; use https (http only works on loopback)",
        )),
        _ => Err(refuse(
            "expected https://HOST[:PORT], or http:// on loopback",
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The certificates of a PEM file.
///
/// # Errors
/// [`ClientError::Setup`], naming the file.
pub(super) fn read_certificates(
    path: &std::path::Path,
) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let refuse = |reason: String| ClientError::Setup {
        reason: format!("{}: {reason}", path.display()),
    };
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| refuse(tame(&chain(&error))))?;
    if certificates.is_empty() {
        return Err(refuse("no certificate in it; expected PEM".to_owned()));
    }
    Ok(certificates)
}

/// An error and all its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        words.push_str(&format!(": {source}"));
        next = source.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::client::{Transport, TransportOptions};

    fn address(url: &str) -> Result<Transport, String> {
        Transport::new(TransportOptions::new(url)).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for fine in [
            "http://127.0.0.1:7878",
            "http://127.9.9.9",
            "http://[::1]:7878",
            "http://localhost:7878/prefix/",
            "https://broker.example",
        ] {
            assert!(address(fine).is_ok(), "{fine}");
        }
        for refused in [
            "http://broker.example:7878",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[::2]",
        ] {
            let error = address(refused).unwrap_err();
            assert!(error.contains("plain http would show the token"), "{error}");
        }
        assert!(
            address("ftp://broker")
                .unwrap_err()
                .contains("expected https://")
        );
        assert!(
            address("broker:7878")
                .unwrap_err()
                .contains("expected https://")
        );
        let error = address("https://maya:secret@broker.example").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        assert!(
            address("https://broker/?x")
                .unwrap_err()
                .contains("no ? and no #")
        );
    }

    #[test]
    fn a_certificate_file_that_is_none_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let open = |path: &std::path::Path| {
            let options = TransportOptions {
                ca_file: Some(path.to_owned()),
                ..TransportOptions::new("https://broker.example")
            };
            Transport::new(options).unwrap_err().to_string()
        };
        assert!(
            open(&path).contains("ca.pem: No such file"),
            "{}",
            open(&path)
        );
        std::fs::write(&path, "nonsense").unwrap();
        assert!(
            open(&path).contains("ca.pem: no certificate in it"),
            "{}",
            open(&path)
        );
    }
}
