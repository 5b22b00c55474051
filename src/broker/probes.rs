//! The configured probes, and which credentials each tries.

use crate::{
    config::{BrokerConfig, ConfigError},
    domain::{Environment, check::covers},
    probes::{self, Probe},
};
use std::sync::Arc;

/// The most credentials or patterns of one probe.
const CREDENTIALS_MAX: usize = 256;

/// One configured probe.
pub struct Configured {
    /// Its name.
    pub name: String,
    /// Names of credentials, in which one `*` stands for anything.
    credentials: Vec<String>,
    environments: Vec<Environment>,
    /// The adapter.
    pub probe: Box<dyn Probe>,
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// All of them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Probes(Arc<Vec<Arc<Configured>>>);

impl Probes {
    /// Those that the configuration names.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the field and what would be accepted.
    pub fn from_config(config: &BrokerConfig) -> Result<Self, ConfigError> {
        let all = config.probe.iter().map(|(name, table)| one(name, table));
        Ok(Self(Arc::new(all.collect::<Result<_, _>>()?)))
    }

    /// The probe that tries new versions of this credential: of several, the one that names it most closely.
    pub fn of(&self, name: &str, environment: Environment) -> Option<&Arc<Configured>> {
        let closeness = |probe: &Configured| {
            let fitting = probe.credentials.iter().filter(|wide| covers(wide, name));
            fitting.map(|wide| (!wide.contains('*'), wide.len())).max()
        };
        self.0
            .iter()
            .filter(|probe| probe.environments.contains(&environment))
            .filter_map(|probe| Some((closeness(probe)?, probe)))
            .max_by(|(one, _), (other, _)| one.cmp(other))
            .map(|(_, probe)| probe)
    }
}

fn one(name: &str, table: &toml::Table) -> Result<Arc<Configured>, ConfigError> {
    let wrong = |field: &str, reason: &str| ConfigError::Invalid {
        origin: format!("probe.{name}{field}"),
        reason: reason.trim().to_owned(),
    };
    let shaped = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(shaped) {
        return Err(wrong("", "expected a name of 1 to 64 of a-z 0-9 -"));
    }
    let mut table = table.clone();
    let credentials: Vec<String> = table
        .remove("credentials")
        .and_then(|list| list.try_into().ok())
        .filter(|list: &Vec<String>| (1..=CREDENTIALS_MAX).contains(&list.len()))
        .ok_or_else(|| {
            let expected =
                "expected the credentials whose new versions it tries, such as [\"payments/*\"]";
            wrong(".credentials", expected)
        })?;
    if credentials.iter().any(|wide| wide.matches('*').count() > 1) {
        return Err(wrong(".credentials", "expected at most one * in each"));
    }
    let environments: Vec<Environment> = table
        .remove("environments")
        .and_then(|list| list.try_into().ok())
        .filter(|list: &Vec<_>| !list.is_empty())
        .ok_or_else(|| {
            let expected = "expected the environments that it serves, such as [\"production\"]";
            wrong(".environments", expected)
        })?;
    let probe = probes::from_table(table).map_err(|error| wrong("", &error.to_string()))?;
    Ok(Arc::new(Configured {
        name: name.to_owned(),
        credentials,
        environments,
        probe,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Probes, String> {
        let config: BrokerConfig = toml::from_str(text).unwrap();
        Probes::from_config(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_closest_probe_tries_a_credential() {
        let table = |name: &str, credentials: &str| {
            format!(
                "[probe.{name}]\ntype = \"http\"\nurl = \"https://x/\"\nenvironments = [\"staging\"]\ncredentials = [{credentials}]\n"
            )
        };
        let text = [
            table("all", "\"*\""),
            table("payments", "\"payments/*\""),
            table("db", "\"payments/db\", \"ops/db\""),
        ];
        let probes = parse(&text.concat()).unwrap();
        let of = |name: &str| {
            let found = probes.of(name, Environment::Staging)?;
            Some(found.name.as_str())
        };
        assert_eq!(of("payments/db"), Some("db"));
        assert_eq!(of("payments/api"), Some("payments"));
        assert_eq!(of("ops/api"), Some("all"));
        assert!(probes.of("ops/api", Environment::Production).is_none());
    }

    #[test]
    fn what_cannot_work_is_said_with_its_place() {
        let rest = "environments = [\"staging\"]\ncredentials = [\"*\"]\n";
        for (text, expected) in [
            ("[probe.X]\n".to_owned(), "probe.X: expected a name"),
            (
                "[probe.x]\n".to_owned(),
                "probe.x.credentials: expected the",
            ),
            (
                "[probe.x]\ncredentials = [\"a*b*\"]\n".to_owned(),
                "probe.x.credentials: expected at most one *",
            ),
            (
                "[probe.x]\ncredentials = [\"*\"]\n".to_owned(),
                "probe.x.environments: expected the",
            ),
            (
                format!("[probe.x]\n{rest}"),
                "probe.x: type: expected http or postgres",
            ),
            (
                format!("[probe.x]\ntype = \"http\"\n{rest}"),
                "probe.x: missing field `url`",
            ),
        ] {
            let said = parse(&text).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
