//! The `[openbao]` section of the configuration, and what makes one unusable.

use crate::{outbound, secret::SecretMaterial};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How to reach an OpenBao server and what may be asked of it.
///
/// The server needs, once: the policies in `assets/openbao/`, a token role whose tokens are orphans, and a
/// periodic token for the broker; `assets/openbao/countersign.hcl` says how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBaoConfig {
    /// Base address, `https://vault.example:8200`; plain http is accepted to loopback only.
    pub address: String,
    /// File that holds the broker's token; read anew for every call, so an agent may replace it.
    pub token_file: Option<PathBuf>,
    /// Environment variable that holds the broker's token. Exactly one of the two is given.
    pub token_env: Option<String>,
    /// PEM file with the only certificate authorities to trust; without it, the system's.
    pub ca_file: Option<PathBuf>,
    /// OpenBao namespace in which everything happens.
    pub namespace: Option<String>,
    /// Policies of the child tokens that mint; they need to read the `roles` below and nothing else.
    #[serde(default = "default_policies")]
    pub policies: Vec<String>,
    /// Token role through which child tokens are made. It should make orphans: other children, and every
    /// credential that they hold, end with the broker's own token.
    pub token_role: Option<String>,
    /// What may be minted: paths such as `database/creds/app-ro`. Anything else is refused before OpenBao is asked.
    pub roles: Vec<String>,
    /// This broker's name in the child tokens' metadata: reconciliation touches its own only, so two brokers
    /// at one OpenBao need two names.
    #[serde(default = "default_name")]
    pub name: String,
    /// The PostgreSQL server behind the roles, as a user that may drop them. With it, logins that OpenBao lost
    /// track of are found and dropped, and readiness covers the database.
    pub postgres_url: Option<SecretMaterial>,
    /// How the names of the logins begin that OpenBao makes for us. Its default template puts the first eight
    /// characters of `token-cs…` there; change it together with the `username_template`.
    #[serde(default = "default_login_prefix")]
    pub login_prefix: String,
    /// Longest time in seconds that one call may take. Above 3: a write in a cluster that changes its leader.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// Leftovers younger than this many seconds are left alone: they may be somebody's attempt under way.
    #[serde(default = "default_orphan_age_s")]
    pub orphan_age_s: u64,
}

fn default_policies() -> Vec<String> {
    vec!["countersign-issue".to_owned()]
}

fn default_name() -> String {
    "countersign".to_owned()
}

fn default_login_prefix() -> String {
    "v-token-cs-".to_owned()
}

const fn default_timeout_s() -> u64 {
    30
}

const fn default_orphan_age_s() -> u64 {
    60
}

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A field's value cannot be used.
    #[error("openbao.{field}: {problem}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it and what would be accepted.
        problem: String,
    },
}

/// Where a server is, and by whose token it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// Base address.
    pub address: &'a str,
    /// File with the token.
    pub token_file: Option<&'a Path>,
    /// Variable with the token.
    pub token_env: Option<&'a str>,
    /// The only certificate authorities to trust.
    pub ca_file: Option<&'a Path>,
    /// Namespace.
    pub namespace: Option<&'a str>,
    /// Longest time in seconds that one call may take.
    pub timeout_s: u64,
}

impl Reach<'_> {
    /// Checks everything that can be checked without the server.
    pub(super) fn check(&self) -> Result<reqwest::Url, ConfigError> {
        let wrong = |field, problem: String| Err(ConfigError::Field { field, problem });
        let url = outbound::address(self.address).or_else(|problem| wrong("address", problem))?;
        if self.token_file.is_some() == self.token_env.is_some() {
            return wrong(
                "token_file",
                "give exactly one of token_file and token_env".to_owned(),
            );
        }
        if self.timeout_s <= 3 {
            return wrong(
                "timeout_s",
                format!("{} is too short; give more than 3", self.timeout_s),
            );
        }
        Ok(url)
    }
}

impl OpenBaoConfig {
    /// How the server is reached.
    pub(super) fn reach(&self) -> Reach<'_> {
        Reach {
            address: &self.address,
            token_file: self.token_file.as_deref(),
            token_env: self.token_env.as_deref(),
            ca_file: self.ca_file.as_deref(),
            namespace: self.namespace.as_deref(),
            timeout_s: self.timeout_s,
        }
    }

    /// Checks everything that can be checked without the server.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field, problem: String| Err(ConfigError::Field { field, problem });
        self.reach().check()?;
        if self.roles.is_empty() {
            return wrong(
                "roles",
                "name at least one, such as database/creds/app-ro".to_owned(),
            );
        }
        if let Some(role) = self.roles.iter().find(|role| !is_creds_path(role)) {
            return wrong(
                "roles",
                format!("{role:?} is not a path like database/creds/app-ro"),
            );
        }
        if self.policies.is_empty() {
            return wrong(
                "policies",
                "name at least one policy for the tokens that mint".to_owned(),
            );
        }
        if self.login_prefix.len() < 6 {
            return wrong(
                "login_prefix",
                "give at least 6 characters, so that no other login fits it".to_owned(),
            );
        }
        Ok(())
    }
}

/// `mount/creds/role`, without anything that a URL path would read otherwise.
fn is_creds_path(role: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let parts: Vec<&str> = role.split('/').collect();
    parts.len() >= 3 && parts[parts.len() - 2] == "creds" && parts.iter().all(|part| plain(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<String, String> {
        let base = "token_env = \"BAO_TOKEN\"\nroles = [\"database/creds/app-ro\"]\n";
        let config: OpenBaoConfig = toml::from_str(&format!("{extra}\n{base}"))
            .map_err(|error| error.message().to_owned())?;
        config
            .check()
            .map(|()| config.address.clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn accepts_https_and_loopback_only() {
        assert!(parse("address = \"https://bao.example:8200\"").is_ok());
        assert!(parse("address = \"http://127.0.0.1:8200\"").is_ok());
        assert!(parse("address = \"http://[::1]:8200\"").is_ok());
        for bad in [
            "http://bao.example",
            "http://127.0.0.1.example",
            "ftp://x",
            "bao",
        ] {
            let said = parse(&format!("address = {bad:?}")).unwrap_err();
            assert!(said.starts_with("openbao.address: "), "{said}");
        }
    }

    #[test]
    fn says_which_field_is_wrong() {
        let address = "address = \"https://b\"\n";
        for (extra, field) in [
            ("timeout_s = 3", "timeout_s"),
            ("policies = []", "policies"),
            ("token_file = \"/t\"", "token_file"),
            ("login_prefix = \"v-\"", "login_prefix"),
        ] {
            let said = parse(&format!("{address}{extra}")).unwrap_err();
            assert!(said.contains(field), "{said}");
        }
        assert!(
            parse(&format!("{address}tokens = 1"))
                .unwrap_err()
                .contains("unknown field")
        );
    }

    #[test]
    fn a_role_is_a_creds_path() {
        assert!(is_creds_path("database/creds/app-ro"));
        assert!(is_creds_path("team/db/creds/app_ro.2"));
        for bad in [
            "database/roles/x",
            "creds/x",
            "database/creds/",
            "a/../creds/x",
            "a/creds/x?y",
            "a/creds/%2e",
        ] {
            assert!(!is_creds_path(bad), "{bad}");
        }
    }
}
