//! Calls that the broker makes to other systems: https, or plain http to this machine; never redirected, since whoever
//! answers with another address must not get there what was meant for this one; bounded in time and in what is read.

pub mod postgres;

use reqwest::{Certificate, ClientBuilder, Response, Url, header};
use std::{path::Path, time::Duration};
use zeroize::Zeroizing;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// The address in `text`, if something may be sent there.
///
/// # Errors
/// What is wrong with it, and what would be accepted.
pub fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("not a URL ({error}); expected https://host/path"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(
                "plain http would show everybody on the way what is sent; use https".to_owned(),
            );
        }
        other => {
            return Err(format!(
                "{other} is not supported; expected https://host/path"
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a login in it, which would be logged; leave it out".to_owned());
    }
    Ok(url)
}

/// Whether it leads to this machine only.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A client for calls to `url`, each of which ends `within` that time. With a `ca_file` it trusts the certificates in
/// that file (PEM) and no others.
///
/// # Errors
/// Why the `ca_file` cannot be used.
pub fn client(
    url: &Url,
    within: Duration,
    ca_file: Option<&Path>,
) -> Result<ClientBuilder, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(within);
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file {
        let unusable = |cause: String| format!("{}: {cause}", path.display());
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(cause(&error)))?;
        if roots.is_empty() {
            return Err(unusable("no PEM certificate in it".to_owned()));
        }
        builder = builder.tls_certs_only(roots);
    }
    Ok(builder)
}

/// Why an answer could not be read to its end.
#[derive(Debug)]
pub enum ReadError {
    /// It is longer than so many bytes.
    TooLong(usize),
    /// The connection broke, or the time was over.
    Broken(reqwest::Error),
}

/// The answer's body, of at most `max` bytes; wiped when dropped, since it may hold a secret.
///
/// # Errors
/// [`ReadError`].
pub async fn read_bounded(
    mut response: Response,
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let mut answer = Zeroizing::new(Vec::with_capacity(max.min(4096)));
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Broken)? {
        if answer.len() + chunk.len() > max {
            return Err(ReadError::TooLong(max));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// `Retry-After`, where it is given in seconds.
pub fn retry_after_s(response: &Response) -> Option<u64> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok()
}

/// What went wrong with a call, in words that hold neither address nor body.
pub fn why(error: &reqwest::Error) -> &'static str {
    match () {
        () if error.is_timeout() => "it did not answer in time",
        () if error.is_connect() => "it cannot be reached",
        () => "the connection broke before it answered",
    }
}

/// reqwest's own text says only "error sending request"; the cause is at the end of the chain.
pub fn cause(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = None;
    let mut source = error.source();
    while let Some(inner) = source {
        text = Some(inner.to_string());
        source = inner.source();
    }
    text.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_or_loopback_and_no_login() {
        for good in [
            "https://chat.example/hook",
            "http://127.0.0.1:8200",
            "http://[::1]:8080/x",
            "http://localhost/",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for (bad, said) in [
            ("http://chat.example/", "plain http"),
            ("http://127.0.0.1.example/", "plain http"),
            ("ftp://chat.example/", "ftp is not supported"),
            ("chat", "not a URL"),
            ("https://me:x@chat.example/", "has a login"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
