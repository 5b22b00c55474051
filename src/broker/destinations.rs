//! The configured destinations, by name, each with its circuit and what it last said.

use super::breaker::Breaker;
use crate::{
    config::{BrokerConfig, ConfigError},
    delivery::{self, Deliver},
    domain::{Destination, Environment, FieldError, check::Check},
    wire::DestinationHealth,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// One configured destination.
pub struct Configured {
    /// Its name.
    pub name: String,
    /// The environments whose secrets may be put there.
    environments: Vec<Environment>,
    /// The adapter.
    pub place: Box<dyn Deliver>,
    /// Whether it is asked at the moment.
    pub breaker: Mutex<Breaker>,
    trouble: Mutex<Option<String>>,
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("name", &self.name)
            .field("environments", &self.environments)
            .finish_non_exhaustive()
    }
}

impl Configured {
    /// Notes what the destination said: nothing when it is ready.
    pub fn heard(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
    }

    /// What it said last.
    pub fn health(&self) -> DestinationHealth {
        let trouble = self.trouble.lock().clone();
        DestinationHealth {
            destination: self.name.clone(),
            ready: trouble.is_none(),
            detail: trouble.unwrap_or_default(),
        }
    }
}

/// All of them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Destinations(Arc<BTreeMap<String, Arc<Configured>>>);

impl Destinations {
    /// Those that the configuration names.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the field and what would be accepted.
    pub fn from_config(config: &BrokerConfig) -> Result<Self, ConfigError> {
        let mut all = BTreeMap::new();
        for (name, table) in &config.destination {
            let wrong = |field: &str, reason: String| ConfigError::Invalid {
                origin: format!("destination.{name}{field}"),
                reason,
            };
            let mut check = Check::default();
            check.destination(
                "",
                &Destination {
                    name: name.clone(),
                    path: "x".to_owned(),
                },
            );
            if let Some(expected) = check.complaint() {
                return Err(wrong("", expected));
            }
            let mut table = table.clone();
            let environments: Vec<Environment> = table
                .remove("environments")
                .and_then(|list| list.try_into().ok())
                .filter(|list: &Vec<_>| !list.is_empty())
                .ok_or_else(|| {
                    let expected =
                        "expected the environments that it serves, such as [\"production\"]";
                    wrong(".environments", expected.to_owned())
                })?;
            let place = delivery::from_table(table)
                .map_err(|error| wrong("", error.to_string().trim().to_owned()))?;
            let configured = Configured {
                name: name.clone(),
                environments,
                place,
                breaker: Mutex::default(),
                trouble: Mutex::default(),
            };
            all.insert(name.clone(), Arc::new(configured));
        }
        Ok(Self(Arc::new(all)))
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Configured>> {
        self.0.values()
    }

    /// The configured destination, if secrets of `environment` may be put at that path of it.
    ///
    /// # Errors
    /// The field of `/destination` that is wrong, and what would be accepted.
    pub fn admit(
        &self,
        to: &Destination,
        environment: Environment,
    ) -> Result<&Arc<Configured>, FieldError> {
        let wrong = |field: &str, detail: String| FieldError {
            pointer: format!("/destination/{field}"),
            detail,
        };
        let serving = || {
            let names: Vec<_> = self
                .all()
                .filter(|one| one.environments.contains(&environment))
                .map(|one| one.name.as_str())
                .collect();
            if names.is_empty() {
                format!("no destination of {environment} is configured")
            } else {
                format!("expected one of {}", names.join(", "))
            }
        };
        let configured = self
            .0
            .get(&to.name)
            .filter(|one| one.environments.contains(&environment))
            .ok_or_else(|| wrong("name", serving()))?;
        let admitted = configured.place.paths().admit(&to.path);
        admitted.map_err(|detail| wrong("path", detail))?;
        Ok(configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Destinations, String> {
        let config: BrokerConfig = toml::from_str(text).unwrap();
        Destinations::from_config(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_goes_only_where_it_may() {
        let text = "[destination.disk]\ntype = \"file\"\nenvironments = [\"staging\"]\nroot = \"/run/secrets\"\nprefixes = [\"payments\"]\n";
        let all = parse(text).unwrap();
        let to = |name: &str, path: &str| Destination {
            name: name.into(),
            path: path.into(),
        };
        let said = |to: Destination, environment| {
            let error = all.admit(&to, environment).unwrap_err();
            format!("{}: {}", error.pointer, error.detail)
        };
        let staging = Environment::Staging;
        assert!(all.admit(&to("disk", "payments/x"), staging).is_ok());
        assert_eq!(
            said(to("disc", "payments/x"), staging),
            "/destination/name: expected one of disk"
        );
        assert_eq!(
            said(to("disk", "ops/x"), staging),
            "/destination/path: expected a path below payments"
        );
        assert_eq!(
            said(to("disk", "payments/x"), Environment::Production),
            "/destination/name: no destination of production is configured"
        );
    }

    #[test]
    fn what_cannot_work_is_said_with_its_place() {
        for (text, expected) in [
            ("[destination.Disk]\n", "destination.Disk: expected 1 to 64"),
            (
                "[destination.x]\ntype = \"file\"\n",
                "destination.x.environments: expected the",
            ),
            (
                "[destination.x]\ntype = \"ftp\"\nenvironments = [\"staging\"]\n",
                "destination.x: type: expected kv2, file or webhook",
            ),
            (
                "[destination.x]\ntype = \"file\"\nenvironments = [\"staging\"]\nroot = \"/x\"\n",
                "destination.x: missing field `prefixes`",
            ),
            (
                "[destination.x]\ntype = \"file\"\nenvironments = [\"staging\"]\nroot = \"x\"\nprefixes = [\"a\"]\n",
                "destination.x: root: expected an absolute path",
            ),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
