//! Connections to PostgreSQL: encrypted, or to this machine.

use reqwest::Url;
use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{path::Path, str::FromStr as _};

/// The address in `text`.
///
/// # Errors
/// What is wrong with it, and what would be accepted.
pub fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("not a URL ({error}); expected postgres://host/database"))?;
    if matches!(url.scheme(), "postgres" | "postgresql") {
        Ok(url)
    } else {
        Err("expected postgres://host/database".to_owned())
    }
}

/// How to connect there. With a `ca_file` only to who has a certificate of one of those (PEM), for that name.
///
/// # Errors
/// What is wrong with the address, and what would be accepted.
pub fn options(
    url: &Url,
    ca_file: Option<&Path>,
    program: &str,
) -> Result<PgConnectOptions, String> {
    let options = PgConnectOptions::from_str(url.as_str())
        .map_err(|error| format!("cannot be used ({error})"))?
        .application_name(program)
        .disable_statement_logging();
    if let Some(file) = ca_file {
        return Ok(options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(file));
    }
    let encrypted = matches!(
        options.get_ssl_mode(),
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull
    );
    // What is connected to in the end: a parameter may name another host than the address does.
    if encrypted || options.get_socket().is_some() || loopback(options.get_host()) {
        return Ok(options);
    }
    Err("the password would go over the network in the clear; give ca_file, or sslmode=require in the url".to_owned())
}

fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> bool {
        let url = address(text).unwrap();
        options(&url, None, "test").is_ok()
    }

    #[test]
    fn in_the_clear_to_this_machine_only() {
        assert!(plain("postgres://db.example/x?sslmode=require"));
        assert!(plain("postgres://127.0.0.1:5432/x") && plain("postgres://[::1]/x"));
        assert!(!plain("postgres://db.example/x"));
        assert!(!plain("postgres://db.example/x?sslmode=prefer"));
        assert!(!plain("postgres://127.0.0.1.example/x"));
        assert!(!plain("postgres://localhost/x?host=db.example"));
        assert!(address("https://db.example").is_err() && address("db").is_err());
    }
}
