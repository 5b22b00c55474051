//! OpenBao's KV v2: check-and-set throughout, so that two writers, or one that repeats itself, never overwrite each
//! other.
//!
//! What identifies a path's secret stands in its custom metadata: the credential's identifier and the version. A
//! delivery first claims the path there, by check-and-set of the metadata, and only ever for a higher version; then it
//! writes the data by check-and-set of the data's own version. Whoever brings an older version finds the claim: either
//! before it writes, or because its write is refused and it has to look again. A stop between claim and data is
//! harmless: the same delivery finds its own claim, and writes.

use super::{ConfigError, Deliver, Delivered, DeliveryError, DeliveryOrder, Paths, wrong};
use crate::{
    issuers::{
        IssueError,
        openbao::{
            Reach, data,
            http::{Api, As, CallError, Envelope},
            judge::{OPENBAO, repeatable},
        },
    },
    secret::SecretMaterial,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, path::PathBuf};

/// How often a delivery looks again because others write the same path.
const TRIES: usize = 6;

const ID: &str = "countersign-id";
const CREDENTIAL: &str = "countersign-credential";
const ENVIRONMENT: &str = "countersign-environment";
const VERSION: &str = "countersign-version";
const EXPIRES_AT: &str = "countersign-expires-at";

/// A KV v2 mount of an OpenBao server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kv2Config {
    /// Base address, `https://vault.example:8200`; plain http is accepted to loopback only.
    pub address: String,
    /// File that holds the broker's token; read anew for every call.
    pub token_file: Option<PathBuf>,
    /// Environment variable that holds the broker's token. Exactly one of the two is given.
    pub token_env: Option<String>,
    /// PEM file with the only certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Where the engine is mounted.
    #[serde(default = "default_mount")]
    pub mount: String,
    /// Paths below these may be delivered to.
    pub prefixes: Vec<String>,
    /// Longest time in seconds that one call may take.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
}

fn default_mount() -> String {
    "secret".to_owned()
}

const fn default_timeout_s() -> u64 {
    30
}

/// The adapter.
pub(super) struct Kv2 {
    api: Api,
    mount: String,
    paths: Paths,
}

/// What `metadata/` answers, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    /// 0 while nothing was written, or after everything was removed for good.
    current_version: u64,
    /// Counts changes of the metadata; servers without check-and-set of it have none.
    current_metadata_version: Option<u64>,
    #[serde(default, rename = "custom_metadata")]
    custom: Option<BTreeMap<String, String>>,
}

/// What `data/` answers: of a version that was deleted there is no data.
#[derive(Deserialize)]
struct Held {
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Written {
    version: u64,
}

#[derive(Serialize)]
struct Claim {
    metadata_cas: u64,
    custom_metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Write {
    options: Options,
    data: Box<RawValue>,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

impl Kv2 {
    pub(super) fn new(config: Kv2Config) -> Result<Self, ConfigError> {
        let paths = Paths::new(config.prefixes)?;
        if Paths::new(vec![config.mount.clone()]).is_err() {
            return wrong(
                "mount",
                "expected where the engine is mounted, such as secret",
            );
        }
        let api = Api::new(Reach {
            address: &config.address,
            token_file: config.token_file.as_deref(),
            token_env: config.token_env.as_deref(),
            ca_file: config.ca_file.as_deref(),
            namespace: config.namespace.as_deref(),
            timeout_s: config.timeout_s,
        })?;
        Ok(Self {
            api,
            mount: config.mount.trim_end_matches('/').to_owned(),
            paths,
        })
    }

    async fn put(
        &self,
        order: &DeliveryOrder,
        secret: &SecretMaterial,
    ) -> Result<Delivered, DeliveryError> {
        self.paths.admit(&order.path).or_else(refused)?;
        for _ in 0..TRIES {
            let held = self.metadata(order).await?;
            let (version, of_metadata) = held.as_ref().map_or((0, Some(0)), |held| {
                (held.current_version, held.current_metadata_version)
            });
            let custom = held.and_then(|held| held.custom).unwrap_or_default();
            if !ours(order, version, &custom)? {
                let Some(of_metadata) = of_metadata else {
                    return refused(
                        "it has no check-and-set of metadata; OpenBao 2.7 or newer is needed"
                            .to_owned(),
                    );
                };
                // Won or lost, the next look tells.
                self.claim(order, of_metadata, custom).await?;
                continue;
            }
            if version > 0 && self.holds(order, version, secret).await? {
                return Ok(self.delivered(order, version));
            }
            if let Some(version) = self.write(order, version, secret).await? {
                return if self.holds(order, version, secret).await? {
                    Ok(self.delivered(order, version))
                } else {
                    Err(DeliveryError::Unknown {
                        system: OPENBAO,
                        reason: format!("version {version} was written and reads otherwise"),
                    })
                };
            }
        }
        Err(DeliveryError::Unavailable {
            system: OPENBAO,
            reason: format!("others keep writing {}", order.path),
            retry_after_s: None,
        })
    }

    fn delivered(&self, order: &DeliveryOrder, version: u64) -> Delivered {
        Delivered {
            place: format!("{}/{}, version {version}", self.mount, order.path),
            proven: true,
        }
    }

    /// What is known of the path; `None` if nothing ever was there.
    async fn metadata(&self, order: &DeliveryOrder) -> Result<Option<Metadata>, DeliveryError> {
        let path = format!("{}/metadata/{}", self.mount, order.path);
        let answer = self.call(order, Method::GET, &path, None).await;
        match answer.and_then(|answer| data(answer, &path)) {
            Ok(held) => Ok(Some(held)),
            Err(CallError::Status {
                status: 404,
                ref errors,
                ..
            }) if errors.is_empty() => Ok(None),
            Err(error) => Err(self.judge(error).await),
        }
    }

    /// Says in the metadata that the path holds this version, unless somebody else changed them since they were read.
    async fn claim(
        &self,
        order: &DeliveryOrder,
        metadata_cas: u64,
        mut custom: BTreeMap<String, String>,
    ) -> Result<(), DeliveryError> {
        let expires_at = order.expires_at.map(|end| end.to_rfc3339());
        for (name, value) in [
            (ID, Some(order.id.clone())),
            (CREDENTIAL, Some(order.credential.clone())),
            (ENVIRONMENT, Some(order.environment.clone())),
            (VERSION, Some(order.version.to_string())),
            (EXPIRES_AT, expires_at),
        ] {
            match value {
                Some(value) => drop(custom.insert(name.to_owned(), value)),
                None => drop(custom.remove(name)),
            }
        }
        let body = text(&Claim {
            metadata_cas,
            custom_metadata: custom,
        });
        let path = format!("{}/metadata/{}", self.mount, order.path);
        let answer: Result<Option<Envelope<serde_json::Value>>, _> =
            self.call(order, Method::POST, &path, Some(body)).await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.says("check-and-set") => Ok(()),
            Err(error) => Err(self.judge(error).await),
        }
    }

    /// Writes over `version` and nothing else. Returns the version that was written; `None` if another was there.
    async fn write(
        &self,
        order: &DeliveryOrder,
        version: u64,
        secret: &SecretMaterial,
    ) -> Result<Option<u64>, DeliveryError> {
        let body = text(&Write {
            options: Options { cas: version },
            data: RawValue::from_string(secret.as_object().expose().to_owned())
                .expect("an object of texts is JSON"),
        });
        let path = format!("{}/data/{}", self.mount, order.path);
        let answer = self.call(order, Method::POST, &path, Some(body)).await;
        match answer.and_then(|answer| data::<Written>(answer, &path)) {
            Ok(written) => Ok(Some(written.version)),
            Err(error) if error.says("check-and-set") => Ok(None),
            // It may have been written; then the next try finds it there.
            Err(CallError::Lost(reason)) => Err(DeliveryError::Unknown {
                system: OPENBAO,
                reason,
            }),
            Err(error) => Err(self.judge(error).await),
        }
    }

    /// Whether this version of the path is exactly the secret.
    async fn holds(
        &self,
        order: &DeliveryOrder,
        version: u64,
        secret: &SecretMaterial,
    ) -> Result<bool, DeliveryError> {
        let Some(held) = self.read(order, version).await? else {
            return Ok(false);
        };
        let fields: Result<BTreeMap<String, SecretMaterial>, _> =
            serde_json::from_str(held.expose());
        let wanted = secret.fields();
        Ok(fields.is_ok_and(|fields| {
            fields.len() == wanted.len()
                && wanted.iter().all(|(name, value)| {
                    fields
                        .get(name)
                        .is_some_and(|held| held.expose() == value.expose())
                })
        }))
    }

    /// The fields of this version of the path, as the text of an object; `None` if it was deleted or destroyed.
    async fn read(
        &self,
        order: &DeliveryOrder,
        version: u64,
    ) -> Result<Option<SecretMaterial>, DeliveryError> {
        let path = format!("{}/data/{}?version={version}", self.mount, order.path);
        let answer = self.call(order, Method::GET, &path, None).await;
        let held = match answer.and_then(|answer| data::<Held>(answer, &path)) {
            Ok(held) => held.data,
            Err(CallError::Status { status: 404, .. }) => None,
            Err(error) => return Err(self.judge(error).await),
        };
        Ok(held.map(|held| SecretMaterial::new(Box::<str>::from(held).into_string())))
    }

    /// The secret that the path holds, if that is of this very version.
    async fn look(&self, order: &DeliveryOrder) -> Result<Option<SecretMaterial>, DeliveryError> {
        self.paths.admit(&order.path).or_else(refused)?;
        let Some(metadata) = self.metadata(order).await? else {
            return Ok(None);
        };
        let custom = metadata.custom.unwrap_or_default();
        let theirs = custom.get(ID) == Some(&order.id)
            && custom.get(VERSION) == Some(&order.version.to_string());
        if !theirs {
            return Ok(None);
        }
        let held = self.read(order, metadata.current_version).await?;
        Ok(held.and_then(SecretMaterial::from_object))
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        order: &DeliveryOrder,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Option<Envelope<T>>, CallError> {
        self.api
            .call_text(As::Broker, &order.key(), method, path, body)
            .await
    }

    async fn judge(&self, error: CallError) -> DeliveryError {
        if error.status() == Some(403) {
            return match self.api.token_is_dead().await {
                Some(reason) => DeliveryError::Unavailable {
                    system: OPENBAO,
                    reason,
                    retry_after_s: None,
                },
                None => DeliveryError::Refused {
                    system: OPENBAO,
                    reason: format!(
                        "{}; give the token the rights in countersign-deliver.hcl",
                        error.text()
                    ),
                },
            };
        }
        match repeatable(&error) {
            IssueError::Unavailable {
                system,
                reason,
                retry_after_s,
            } => DeliveryError::Unavailable {
                system,
                reason,
                retry_after_s,
            },
            IssueError::Refused { system, reason } => DeliveryError::Refused { system, reason },
            IssueError::Unknown { system, reason } => DeliveryError::Unknown { system, reason },
        }
    }
}

/// Whether the path is claimed for this very version. Refused if it is claimed for a newer one, or is not ours.
fn ours(
    order: &DeliveryOrder,
    version: u64,
    custom: &BTreeMap<String, String>,
) -> Result<bool, DeliveryError> {
    match custom.get(ID) {
        Some(id) if *id != order.id => refused(format!(
            "{} holds the secret of {}; choose another path",
            order.path,
            custom.get(CREDENTIAL).unwrap_or(id)
        )),
        None if version > 0 => refused(format!(
            "{} holds what this broker did not write; remove it with its metadata, or choose another path",
            order.path
        )),
        None => Ok(false),
        Some(_) => {
            let claimed: Option<u32> = custom.get(VERSION).and_then(|text| text.parse().ok());
            match claimed {
                Some(claimed) if claimed > order.version && order.over != Some(claimed) => refused(
                    format!("{} holds version {claimed}, which is newer", order.path),
                ),
                claimed => Ok(claimed == Some(order.version)),
            }
        }
    }
}

fn refused<T>(reason: String) -> Result<T, DeliveryError> {
    Err(DeliveryError::Refused {
        system: OPENBAO,
        reason,
    })
}

fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("texts and numbers have a JSON form")
}

impl Deliver for Kv2 {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn deliver<'a>(
        &'a self,
        order: &'a DeliveryOrder,
        secret: &'a SecretMaterial,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.put(order, secret).boxed()
    }

    fn held<'a>(
        &'a self,
        order: &'a DeliveryOrder,
    ) -> BoxFuture<'a, Result<Option<SecretMaterial>, DeliveryError>> {
        self.look(order).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        async {
            let kept = self.api.keep_token().await;
            kept.map_err(|reason| format!("{OPENBAO}: {reason}"))
        }
        .boxed()
    }
}
