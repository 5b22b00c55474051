//! Preparing and minting: child token, login, lifetime, and what was granted otherwise than approved.

use super::http::{As, CallError, Envelope};
use super::judge::{self, OPENBAO};
use super::{Inner, MADE_BY, TokenFacts, data};
use crate::issuers::under_way::Listed;
use crate::issuers::{IssueError, Locator, MintOrder, Minted, Prepared, locator};
use crate::secret::SecretMaterial;
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A credential may end this many seconds early without a word: the calls take time themselves.
const EARLY_WITHOUT_A_WORD_S: i64 = 5;

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretMaterial,
}

#[derive(Deserialize)]
struct LeaseFacts {
    expire_time: Option<DateTime<Utc>>,
}

impl Inner {
    /// Makes the child token of one attempt. Nothing usable exists yet, and its accessor finds all that will.
    pub(super) async fn prepare_child(&self, order: &MintOrder) -> Result<Prepared, IssueError> {
        let refused = |reason| {
            Err(IssueError::Refused {
                system: OPENBAO,
                reason,
            })
        };
        if !self.config.roles.contains(&order.role) {
            return refused(format!(
                "{:?} is not among the configured roles ({})",
                order.role,
                self.config.roles.join(", ")
            ));
        }
        let ttl_s = order.approved_ttl_s();
        if ttl_s == 0 {
            return refused("a lifetime of 0 s was approved".to_owned());
        }
        let path = match &self.config.token_role {
            Some(role) => format!("auth/token/create/{role}"),
            None => "auth/token/create".to_owned(),
        };
        let body = json!({
            "policies": self.config.policies,
            "no_default_policy": true,
            "ttl": format!("{ttl_s}s"),
            "explicit_max_ttl": format!("{ttl_s}s"),
            "renewable": false,
            // The first eight characters of `token-cs-…` start the login's name: see `login_prefix`.
            "display_name": format!("cs-{}", order.request_id),
            "meta": {
                "made_by": MADE_BY,
                "broker": self.config.name,
                "request_id": order.request_id,
                "attempt_key": order.attempt_key,
                "credential": order.credential,
            },
        });
        let answer: Result<Option<Envelope<Value>>, CallError> = self
            .api
            .call(
                As::Broker,
                &order.request_id,
                Method::POST,
                &path,
                Some(&body),
            )
            .await;
        let auth = match answer {
            Ok(envelope) => envelope.and_then(|envelope| envelope.auth),
            Err(error) => {
                let judged = judge::repeatable(&error);
                return Err(self.judge_denied(error, judged).await);
            }
        };
        let Some(auth) = auth else {
            return refused(
                "it made no token when asked for one (is a control group set on it?)".to_owned(),
            );
        };
        if auth.lease_duration == 0 || auth.lease_duration > ttl_s {
            self.drop_token(&auth.accessor, &order.request_id).await;
            return refused(format!(
                "the token that should end after {ttl_s} s would end after {} s; check the token role's settings",
                auth.lease_duration
            ));
        }
        let listed = self.under_way.list(&auth.accessor);
        let locator = Locator::from([(locator::TOKEN_ACCESSOR.to_owned(), auth.accessor)]);
        let guard = Child {
            listed,
            orphan: auth.orphan,
        };
        Ok(Prepared {
            locator,
            held: Some(auth.client_token),
            guard: Some(Box::new(guard)),
        })
    }

    /// Takes the login with the child token and gives it exactly the approved lifetime.
    async fn mint_with_child(
        &self,
        order: &MintOrder,
        token: &SecretMaterial,
        accessor: &str,
        orphan: bool,
    ) -> Result<(Minted, String), IssueError> {
        let id = &order.request_id;
        let answer = self
            .api
            .call::<Login>(As::Child(token), id, Method::GET, &order.role, None)
            .await;
        let mut envelope = match answer {
            Ok(Some(envelope)) => envelope,
            Ok(None) => {
                return Err(IssueError::Unknown {
                    system: OPENBAO,
                    reason: "it answered without a login".to_owned(),
                });
            }
            Err(error) if error.status() == Some(403) => {
                return Err(self.why_denied(order, accessor, &error).await);
            }
            Err(error) => return Err(judge::minting(&error)),
        };
        if envelope.wrap_info.is_some() {
            return Err(IssueError::Refused {
                system: OPENBAO,
                reason: format!(
                    "a control group on {} wants approvals of its own; remove it for this broker",
                    order.role
                ),
            });
        }
        let mut warnings = envelope.take_warnings();
        let (lease_id, granted_s) = (
            std::mem::take(&mut envelope.lease_id),
            envelope.lease_duration,
        );
        let unknown = |error: CallError| IssueError::Unknown {
            system: OPENBAO,
            reason: error.text(),
        };
        let login = data(Some(envelope), &order.role).map_err(unknown)?;
        if lease_id.is_empty() {
            return Err(IssueError::Refused {
                system: OPENBAO,
                reason: format!(
                    "{} gives logins without a lease, which could not be revoked",
                    order.role
                ),
            });
        }
        if granted_s != order.approved_ttl_s() {
            warnings.extend(
                self.set_lifetime(id, &lease_id, order.approved_ttl_s())
                    .await,
            );
        }
        let expires_at = self
            .effective_expiry(id, &lease_id, accessor, orphan)
            .await
            .map_err(unknown)?;
        let secret = SecretMaterial::from_fields(&[
            ("username", &login.username),
            ("password", login.password.expose()),
        ]);
        let locator = Locator::from([
            (locator::TOKEN_ACCESSOR.to_owned(), accessor.to_owned()),
            (locator::LEASE_ID.to_owned(), lease_id),
            (locator::USERNAME.to_owned(), login.username.clone()),
        ]);
        Ok((
            Minted {
                secret,
                digest: None,
                locator,
                expires_at,
                warnings,
            },
            login.username,
        ))
    }

    /// A child token that has ended gets the same answer as one whose policy lacks the right.
    async fn why_denied(&self, order: &MintOrder, accessor: &str, error: &CallError) -> IssueError {
        let path = "auth/token/lookup-accessor";
        let body = json!({"accessor": accessor});
        let child: Result<Option<Envelope<Value>>, _> = self
            .api
            .call(
                As::Broker,
                &order.request_id,
                Method::POST,
                path,
                Some(&body),
            )
            .await;
        if child.is_err_and(|gone| gone.says("invalid accessor")) {
            let reason = "the attempt's token ended before it was used".to_owned();
            return judge::unavailable(OPENBAO, reason, None);
        }
        IssueError::Refused {
            system: OPENBAO,
            reason: format!(
                "the policies {} do not allow to read {} ({})",
                self.config.policies.join(", "),
                order.role,
                error.text()
            ),
        }
    }

    /// A database role gives its default lifetime; a renewal counts from now and may also shorten. It sets the login's
    /// `VALID UNTIL` too. Failing it is no harm: the child token still ends everything in time.
    async fn set_lifetime(&self, id: &str, lease_id: &str, ttl_s: u64) -> Vec<String> {
        let body = json!({"lease_id": lease_id, "increment": ttl_s});
        let answer: Result<Option<Envelope<Value>>, _> = self
            .api
            .call(As::Broker, id, Method::PUT, "sys/leases/renew", Some(&body))
            .await;
        match answer {
            Ok(Some(mut envelope)) => envelope.take_warnings(),
            Ok(None) => Vec::new(),
            Err(error) => vec![format!(
                "OpenBao could not set the lease's lifetime: {}",
                error.text()
            )],
        }
    }

    /// The earliest end by the server's clock: the lease's, its token's, and the broker's token's unless the child
    /// is an orphan.
    async fn effective_expiry(
        &self,
        id: &str,
        lease_id: &str,
        accessor: &str,
        orphan: bool,
    ) -> Result<Option<DateTime<Utc>>, CallError> {
        let (lease_path, token_path) = ("sys/leases/lookup", "auth/token/lookup-accessor");
        let (lease_body, token_body) =
            (json!({"lease_id": lease_id}), json!({"accessor": accessor}));
        let lease = self
            .api
            .call(As::Broker, id, Method::PUT, lease_path, Some(&lease_body))
            .await?;
        let lease: LeaseFacts = data(lease, lease_path)?;
        let token = self
            .api
            .call(As::Broker, id, Method::POST, token_path, Some(&token_body))
            .await?;
        let token: TokenFacts = data(token, token_path)?;
        let mut ends = vec![lease.expire_time, token.expire_time];
        if !orphan {
            let own = self.api.own_token().await?;
            // A periodic token is renewed, so its present end is none.
            ends.push(own.expire_time.filter(|_| own.period.is_none()));
        }
        Ok(ends.into_iter().flatten().min())
    }

    /// Best effort, after a failure: what it leaves, `reconcile` finds.
    pub(super) async fn drop_token(&self, accessor: &str, request_id: &str) {
        let body = json!({"accessor": accessor});
        let answer: Result<Option<Envelope<Value>>, _> = self
            .api
            .call(
                As::Broker,
                request_id,
                Method::POST,
                "auth/token/revoke-accessor",
                Some(&body),
            )
            .await;
        if let Err(error) = answer {
            tracing::warn!(
                request_id,
                accessor,
                error = error.text(),
                "cannot revoke an abandoned child token yet"
            );
        }
    }
}

/// What a preparation holds beside the token: its place in the list of attempts under way.
struct Child {
    listed: Listed,
    orphan: bool,
}

/// Mints in a task of its own: OpenBao leaks logins when its client hangs up in the middle, so a caller that is
/// dropped does not stop it; what nobody then takes is removed at once.
pub(super) async fn detached(
    inner: Arc<Inner>,
    order: MintOrder,
    prepared: Prepared,
) -> Result<Minted, IssueError> {
    let Prepared {
        locator,
        held,
        guard,
    } = prepared;
    let (Some(token), Some(accessor), Some(Ok(child))) = (
        held,
        locator.get(locator::TOKEN_ACCESSOR).cloned(),
        guard.map(|guard| guard.downcast::<Child>()),
    ) else {
        return Err(IssueError::Refused {
            system: OPENBAO,
            reason: "the attempt was not prepared here".to_owned(),
        });
    };
    let (give, take) = oneshot::channel();
    tokio::spawn(async move {
        let child = *child;
        let started = std::time::Instant::now();
        let minted = inner
            .mint_with_child(&order, &token, &accessor, child.orphan)
            .await;
        let result = match minted {
            Ok((mut minted, username)) => {
                minted
                    .warnings
                    .extend(shortfall(&order, &minted, started.elapsed()));
                child.listed.finish(&username);
                Ok(minted)
            }
            Err(error) => {
                inner.drop_token(&accessor, &order.request_id).await;
                Err(error)
            }
        };
        if let Err(Ok(unclaimed)) = give.send(result) {
            let ended = inner.revoke_and_prove(&unclaimed.locator).await;
            tracing::info!(
                request_id = order.request_id,
                ?ended,
                "removed a login whose requester went away"
            );
        }
    });
    take.await.unwrap_or_else(|_| {
        Err(IssueError::Unknown {
            system: OPENBAO,
            reason: "the task that minted ended early".to_owned(),
        })
    })
}

/// A sentence when the credential ends noticeably before its approval does.
fn shortfall(order: &MintOrder, minted: &Minted, took: std::time::Duration) -> Option<String> {
    let remaining = (minted.expires_at? - crate::clock::now()).num_seconds();
    let approved = i64::try_from(order.approved_ttl_s()).unwrap_or(i64::MAX);
    let expected = approved - i64::try_from(took.as_secs()).unwrap_or(0) - EARLY_WITHOUT_A_WORD_S;
    (remaining < expected).then(|| {
        format!("{approved} s were approved, but OpenBao ends the login after {remaining} s")
    })
}
