//! The shipped configurations of gateways (`assets/gateways`), filled in.
//!
//! `@NAME@` is replaced; a line that begins with `#TLS#` is kept, without that, where the broker speaks TLS, and one
//! with `#CACHE#` where the gateway may keep answers.

use crate::wire::Profile;

const NGINX: &str = include_str!("../../assets/gateways/nginx.conf");
const ENVOY: &str = include_str!("../../assets/gateways/envoy.yaml");
const HAPROXY: &str = include_str!("../../assets/gateways/haproxy.cfg");
/// What `haproxy.cfg` loads.
pub const LUA: &str = include_str!("../../assets/gateways/authz.lua");

/// What stands in place of a token that was not given.
const NO_TOKEN: &str = "REPLACE-WITH-THE-TOKEN-OF-THIS-GATEWAY";

/// What a configuration is filled with.
#[derive(Debug)]
pub struct Filling<'a> {
    /// Which configuration.
    pub profile: Profile,
    /// The gateway's name.
    pub gateway: &'a str,
    /// For how many seconds it may keep an answer.
    pub cache_s: u64,
    /// The broker's address.
    pub broker: &'a str,
    /// Where it listens, `HOST:PORT`.
    pub listen: &'a str,
    /// What it passes calls to, `HOST:PORT`.
    pub upstream: &'a str,
    /// Its token.
    pub token: Option<&'a str>,
}

/// The configuration.
///
/// # Errors
/// What is not an address, or which profile has no configuration, in words.
pub fn fill(filling: &Filling<'_>) -> Result<String, String> {
    let text = match filling.profile {
        Profile::Nginx => NGINX,
        Profile::Envoy => ENVOY,
        Profile::Haproxy => HAPROXY,
        Profile::Introspection => {
            return Err(format!(
                "{} asks by token introspection (RFC 7662): point it at {}/v1/introspect, with the token of a robot account as bearer",
                filling.gateway, filling.broker
            ));
        }
        Profile::Receiver => {
            return Err(format!(
                "{} is told what is revoked: it reads {}/v1/gateways/ID/pending and puts what it has applied to .../cursor",
                filling.gateway, filling.broker
            ));
        }
    };
    let broker = reqwest::Url::parse(filling.broker).map_err(|error| error.to_string())?;
    let host = broker
        .host_str()
        .ok_or("the broker's address has no host")?;
    let port = broker
        .port_or_known_default()
        .ok_or("the broker's address has no port")?;
    let tls = broker.scheme() == "https";
    let (listen_host, listen_port) = address(filling.listen)?;
    let (upstream_host, upstream_port) = address(filling.upstream)?;
    let token = filling.token.unwrap_or(NO_TOKEN);
    // It goes between quotes of three languages.
    if !token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err("the token has a character that no token has".to_owned());
    }
    let fields = [
        ("@SCHEME@", broker.scheme().to_owned()),
        ("@BROKER@", format!("{host}:{port}")),
        ("@BROKERHOST@", host.to_owned()),
        ("@BROKERPORT@", port.to_string()),
        ("@GATEWAY@", filling.gateway.to_owned()),
        ("@TOKEN@", token.to_owned()),
        ("@LISTEN@", filling.listen.to_owned()),
        ("@LISTENHOST@", listen_host.to_owned()),
        ("@LISTENPORT@", listen_port.to_string()),
        ("@UPSTREAM@", filling.upstream.to_owned()),
        ("@UPSTREAMHOST@", upstream_host.to_owned()),
        ("@UPSTREAMPORT@", upstream_port.to_string()),
        ("@CACHE@", filling.cache_s.to_string()),
        ("@BOUND@", (filling.cache_s + 1).to_string()),
    ];
    let mut filled = String::with_capacity(text.len() + 256);
    for line in text.lines() {
        let line = match (line.strip_prefix("#TLS# "), line.strip_prefix("#CACHE# ")) {
            (Some(line), _) if tls => line,
            (_, Some(line)) if filling.cache_s > 0 => line,
            (None, None) => line,
            _ => continue,
        };
        let mut line = line.to_owned();
        for (name, value) in &fields {
            if line.contains(name) {
                line = line.replace(name, value);
            }
        }
        filled.push_str(&line);
        filled.push('\n');
    }
    Ok(filled)
}

/// `HOST:PORT`, in characters that mean nothing else in a configuration.
fn address(text: &str) -> Result<(&str, u16), String> {
    let expected = || format!("{text:?} is no address: expected HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let plain = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]*".contains(&byte));
    if host.is_empty() || !plain {
        return Err(expected());
    }
    Ok((host, port.parse().map_err(|_| expected())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(profile: Profile, cache_s: u64, broker: &str) -> String {
        fill(&Filling {
            profile,
            gateway: "edge-1",
            cache_s,
            broker,
            listen: "0.0.0.0:8080",
            upstream: "127.0.0.1:3000",
            token: Some("cs_gwy_x"),
        })
        .unwrap()
    }

    #[test]
    fn everything_is_filled_in() {
        for profile in [Profile::Nginx, Profile::Envoy, Profile::Haproxy] {
            for broker in ["http://127.0.0.1:7878", "https://broker.example"] {
                for cache_s in [0, 5] {
                    let text = filled(profile, cache_s, broker);
                    for left in ["@", "#TLS#", "#CACHE#"] {
                        let left = text
                            .lines()
                            .find(|line| line.contains(left) && !line.contains("\"@type\""));
                        assert_eq!(left, None);
                    }
                    assert!(text.contains("/authz/edge-1") && text.contains("cs_gwy_x"));
                }
            }
        }
        assert!(
            filled(Profile::Nginx, 5, "https://b.example").contains("proxy_cache_valid 200 5s")
        );
        assert!(!filled(Profile::Nginx, 0, "https://b.example").contains("proxy_cache"));
        assert!(filled(Profile::Nginx, 0, "https://b.example").contains("proxy_ssl_verify on"));
    }

    #[test]
    fn what_would_end_a_directive_is_refused() {
        for listen in ["80", "x;y:80", "a b:80", ":80", "h:x"] {
            assert!(address(listen).is_err(), "{listen}");
        }
        let filling = Filling {
            profile: Profile::Nginx,
            gateway: "edge-1",
            cache_s: 0,
            broker: "http://127.0.0.1:1",
            listen: "0.0.0.0:80",
            upstream: "127.0.0.1:3000",
            token: Some("x\"; include /etc/passwd;"),
        };
        assert!(fill(&filling).is_err());
    }
}
