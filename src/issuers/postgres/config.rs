//! An `[issuer.NAME]` section of type `postgres`, and what makes one unusable.

use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// The longest identifier that PostgreSQL keeps, in bytes.
const IDENTIFIER_MAX: usize = 63;
/// The most statements of one role, and the longest of them in bytes.
const STATEMENTS_MAX: (usize, usize) = (16, 4_096);
/// The most roles of one server, and the most that one login is a member of.
const ROLES_MAX: (usize, usize) = (256, 16);
/// The longest time that one call may take, in seconds.
const TIMEOUT_MAX_S: u64 = 120;

/// How to reach a PostgreSQL server, and which logins may be made there.
///
/// The broker's user needs `CREATEROLE`; since PostgreSQL 16 also `ADMIN` on the roles that logins become members of,
/// and on the two logins of a role that has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://user@host:5432/database`, without a password. The database is where sessions are probed, where what
    /// a login owned is looked for, and where revocation statements run.
    pub url: String,
    /// File that holds the user's password; read anew for every connection.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds it. Exactly one of the two is given, unless a client certificate is.
    pub password_env: Option<String>,
    /// PEM file with the only certificate authorities to trust; the server's certificate must fit its name.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and its key, PEM files.
    pub client_cert_file: Option<PathBuf>,
    /// The key.
    pub client_key_file: Option<PathBuf>,
    /// This broker's name at the server, 1 to 16 of `a-z0-9`: its logins are named `cs_NAME_…`, and it touches no
    /// others, so two brokers at one server need two names.
    #[serde(default = "default_name")]
    pub name: String,
    /// Longest time in seconds that one call may take.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// Leftovers younger than this many seconds are left alone: they may be somebody's attempt under way.
    #[serde(default = "default_orphan_age_s")]
    pub orphan_age_s: u64,
    /// What may be asked for, by name.
    pub role: BTreeMap<String, RoleConfig>,
}

/// One thing that may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// The roles at the server that a new login becomes a member of: what it may do.
    #[serde(default)]
    pub member_of: Vec<String>,
    /// Two logins at the server that versions have in turn, instead of new ones. They exist, may do what they are for,
    /// and cannot log in (`NOLOGIN`) before they are first given out.
    #[serde(default)]
    pub logins: Vec<String>,
    /// The most sessions of one login at a time.
    pub connection_limit: Option<u32>,
    /// What runs, in one transaction, once a login can log in no more and its sessions are ended: `{{name}}` is its
    /// name as an identifier, `{{literal}}` as a string. A new login is dropped after that.
    #[serde(default)]
    pub revocation: Vec<String>,
}

fn default_name() -> String {
    "countersign".to_owned()
}

const fn default_timeout_s() -> u64 {
    10
}

const fn default_orphan_age_s() -> u64 {
    60
}

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it and what would be accepted.
    pub problem: String,
}

pub(super) fn wrong<T>(
    field: impl Into<String>,
    problem: impl Into<String>,
) -> Result<T, ConfigError> {
    Err(ConfigError {
        field: field.into(),
        problem: problem.into(),
    })
}

impl PostgresConfig {
    /// Checks everything that can be checked without the server.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if self.name.is_empty() || self.name.len() > 16 || !self.name.bytes().all(plain) {
            return wrong("name", "expected 1 to 16 of a-z0-9");
        }
        if !(1..=TIMEOUT_MAX_S).contains(&self.timeout_s) {
            return wrong("timeout_s", format!("expected 1 to {TIMEOUT_MAX_S}"));
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return wrong(
                "client_cert_file",
                "give it and client_key_file, or neither",
            );
        }
        match (&self.password_file, &self.password_env) {
            (None, None) if self.client_cert_file.is_none() => {
                return wrong(
                    "password_file",
                    "give one of password_file and password_env, or a client certificate",
                );
            }
            (Some(_), Some(_)) => {
                return wrong(
                    "password_file",
                    "give one of password_file and password_env",
                );
            }
            _ => {}
        }
        let (most, _) = ROLES_MAX;
        if self.role.is_empty() || self.role.len() > most {
            return wrong(
                "role",
                format!(
                    "expected 1 to {most}, each a table such as [issuer.NAME.role.payments-ro]"
                ),
            );
        }
        let mut logins = HashSet::new();
        for (name, role) in &self.role {
            role.check(name)?;
            for login in &role.logins {
                if login.starts_with("cs_") {
                    let problem = format!(
                        "{login:?} begins with cs_, as logins made here do; expected another name"
                    );
                    return wrong(format!("role.{name}.logins"), problem);
                }
                if !logins.insert(login) {
                    let problem =
                        format!("{login:?} is given twice; expected a login once, in one role");
                    return wrong(format!("role.{name}.logins"), problem);
                }
            }
        }
        Ok(())
    }
}

impl RoleConfig {
    fn check(&self, name: &str) -> Result<(), ConfigError> {
        let at = |field: &str| format!("role.{name}.{field}");
        let identifier = |text: &String| {
            !text.is_empty() && text.len() <= IDENTIFIER_MAX && !text.contains('\0')
        };
        match (self.member_of.len(), self.logins.len()) {
            (1.., 0) | (0, 2) => {}
            (1.., _) => return wrong(at("logins"), "give either member_of or logins"),
            (0, 0) => {
                return wrong(
                    at("member_of"),
                    "name at least one role, or two logins that take turns",
                );
            }
            (0, _) => return wrong(at("logins"), "expected two, which take turns"),
        }
        let (_, most) = ROLES_MAX;
        if self.member_of.len() > most || !self.member_of.iter().all(identifier) {
            let expected = format!("expected at most {most} names of 1 to {IDENTIFIER_MAX} bytes");
            return wrong(at("member_of"), expected);
        }
        if !self.logins.iter().all(identifier) {
            let expected = format!("expected names of 1 to {IDENTIFIER_MAX} bytes");
            return wrong(at("logins"), expected);
        }
        if self
            .connection_limit
            .is_some_and(|limit| limit == 0 || limit > 10_000)
        {
            return wrong(at("connection_limit"), "expected 1 to 10000");
        }
        let (most, longest) = STATEMENTS_MAX;
        let fits = |text: &String| text.len() <= longest && !text.contains('\0');
        if self.revocation.len() > most || !self.revocation.iter().all(fits) {
            let expected = format!("expected at most {most} statements of {longest} bytes");
            return wrong(at("revocation"), expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(), String> {
        let config: PostgresConfig =
            toml::from_str(text).map_err(|error| error.message().to_owned())?;
        config.check().map_err(|error| error.to_string())
    }

    const BASE: &str = "url = \"postgres://c@localhost/x\"\npassword_env = \"P\"\n";

    #[test]
    fn a_role_is_dynamic_or_has_two_logins() {
        assert_eq!(
            parse(&format!(
                "{BASE}[role.a]\nmember_of = [\"r\"]\n[role.b]\nlogins = [\"x\", \"y\"]\n"
            )),
            Ok(())
        );
        for (role, expected) in [
            ("", "role.a.member_of: name at least one role"),
            (
                "member_of = [\"r\"]\nlogins = [\"x\", \"y\"]",
                "role.a.logins: give either",
            ),
            ("logins = [\"x\"]", "role.a.logins: expected two"),
            (
                "logins = [\"x\", \"x\"]",
                "role.a.logins: \"x\" is given twice",
            ),
            (
                "logins = [\"x\", \"cs_y\"]",
                "role.a.logins: \"cs_y\" begins with cs_",
            ),
            ("member_of = [\"\"]", "role.a.member_of: expected at most"),
            (
                "member_of = [\"r\"]\nconnection_limit = 0",
                "role.a.connection_limit: expected 1",
            ),
            (
                "member_of = [\"r\"]\nrevocation = [\"\\u0000\"]",
                "role.a.revocation: expected",
            ),
            ("member_off = [\"r\"]", "unknown field `member_off`"),
        ] {
            let said = parse(&format!("{BASE}[role.a]\n{role}\n")).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn says_which_field_is_wrong() {
        let role = "[role.a]\nmember_of = [\"r\"]\n";
        for (more, field) in [
            ("name = \"C_\"", "name"),
            ("timeout_s = 0", "timeout_s"),
            ("password_file = \"/p\"", "password_file"),
            ("client_key_file = \"/k\"", "client_cert_file"),
        ] {
            let said = parse(&format!("{BASE}{more}\n{role}")).unwrap_err();
            assert!(said.starts_with(&format!("{field}: ")), "{said}");
        }
        let said = parse(&format!("url = \"postgres://c@localhost/x\"\n{role}")).unwrap_err();
        assert!(said.starts_with("password_file: give one"), "{said}");
        assert!(
            parse(&format!("{BASE}[role]\n"))
                .unwrap_err()
                .starts_with("role: expected 1")
        );
    }
}
