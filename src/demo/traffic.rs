//! What goes on while the console is open: services ask for credentials, collect and use them, colleagues
//! approve, on-call people revoke. All of it over HTTP, through the same client that everybody uses.

use super::{company::Variety, history::Service};
use crate::{
    client::{
        Client, ClientError, ListQuery, Once,
        chain::Keep,
        sign::{Decided, sign_decision, verified_head},
    },
    ssh::Signer,
    wire::{
        Approve, CredentialId, Environment, Kind, NewRequest, Reason, RequestDetail, RequestState,
        SignedStatement, StepUp, revocation::Revoke, signing::Decision,
    },
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the traffic needs.
pub struct Scene {
    /// Services, with clients of their own.
    pub services: Vec<(Service, Client)>,
    /// A colleague who approves and revokes now and then.
    pub colleague: Client,
    /// Their handle.
    pub name: String,
    /// The key that they decide with.
    pub signer: Signer,
    /// Sentences for requests.
    pub reasons: Vec<String>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene")
            .field("services", &self.services.len())
            .finish_non_exhaustive()
    }
}

/// Keeps things happening, `rate` changes a second on average, until told to stop. The broker refusing something is
/// part of the play; only a broker that cannot be reached ends it early.
pub async fn run(scene: Scene, rate: f64, seed: u64, stop: CancellationToken) {
    if rate <= 0.0 {
        return;
    }
    let mut variety = Variety::new(seed ^ 0x7261_6666);
    let mut serial = 20_000_u64;
    loop {
        // Exponential gaps, as independent callers make them.
        let draw = (variety.below(1_000_000) + 1) as f64 / 1_000_001.0;
        let gap = Duration::from_secs_f64((-draw.ln() / rate).min(60.0));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(gap) => {}
        }
        serial += 1;
        let outcome = match variety.below(10) {
            0 => approve_something(&scene, &mut variety).await,
            1 => contain_something(&scene, &mut variety).await,
            _ => ask_for_something(&scene, &mut variety, serial).await,
        };
        if let Err(error @ ClientError::Connect { .. }) = outcome {
            tracing::debug!(%error, "the demo's broker is gone");
            return;
        }
    }
}

async fn ask_for_something(
    scene: &Scene,
    variety: &mut Variety,
    serial: u64,
) -> Result<(), ClientError> {
    // Mostly where policy decides by itself: a queue is something that people keep short.
    let calm = |service: &Service| service.environment == Environment::Development;
    let wanted = !variety.chance(8);
    let mut place = variety.of(&scene.services);
    while calm(&place.0) != wanted {
        place = variety.of(&scene.services);
    }
    let (service, client) = place;
    let request = NewRequest {
        credential: format!("{}/{}-{serial:05}", service.team.name, service.name),
        environment: service.environment,
        kind: Kind::ApiKey,
        issuer: None,
        role: String::new(),
        client: service.client,
        audience: format!("https://{}.example", service.team.name),
        scopes: vec![variety.of(&service.team.scopes).clone()],
        ttl_s: *variety.of(&[3_600, 14_400, 86_400, 7 * 86_400]),
        reason: variety.of(&scene.reasons).clone(),
        owner: None,
        tags: service.team.tags.clone(),
        destination: None,
        dry_run: false,
    };
    let receipt = client
        .ask(&request, &Once::new())
        .await
        .into_result()?
        .value;
    if receipt.state != RequestState::Approved.as_str() {
        return Ok(());
    }
    let Ok(id) = receipt.subject.parse() else {
        return Ok(());
    };
    // A service has nothing better to do than to ask again: in a moment, then less and less often.
    for attempt in 1..=6 {
        if client.request(id).await?.value.row.state == RequestState::Issued {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
    }
    let claimed = client.claim(id, &Once::new()).await.into_result()?.value;
    if let Some(token) = claimed.secret.get("token") {
        client.introspect(token).await?;
    }
    Ok(())
}

async fn approve_something(scene: &Scene, variety: &mut Variety) -> Result<(), ClientError> {
    let waiting = scene
        .colleague
        .requests(&ListQuery::filter("state:awaiting_approval"))
        .await?
        .value
        .items;
    // A queue that empties itself would leave nothing to decide.
    if waiting.len() < 8 {
        return Ok(());
    }
    let detail = scene
        .colleague
        .request(variety.of(&waiting).id)
        .await?
        .value;
    if detail.may_decide.allowed {
        let reason = "agreed with the owner on call";
        let signed = match detail.step_up {
            StepUp::None => None,
            _ => signed(scene, &detail, reason).await,
        };
        let body = Approve {
            digest: detail.digest,
            reason: reason.into(),
            signed,
        };
        scene
            .colleague
            .approve(detail.row.id, &body, &Once::seen(detail.row.sequence))
            .await
            .into_result()?;
    }
    Ok(())
}

/// The colleague's signature. Whatever keeps it away keeps the approval away: the broker says so.
async fn signed(scene: &Scene, detail: &RequestDetail, reason: &str) -> Option<SignedStatement> {
    let client = &scene.colleague;
    let head = verified_head(client, &Keep::nowhere(), None).await.ok()?;
    let decided = Decided {
        operator: &scene.name,
        detail,
        decision: Decision::Approve,
        reason,
        view: detail.digest,
        head,
        now: crate::clock::now(),
    };
    sign_decision(client, &scene.signer, &decided).await.ok()
}

async fn contain_something(scene: &Scene, variety: &mut Variety) -> Result<(), ClientError> {
    let query = ListQuery::filter("state:active tier:low").limit(50);
    let some = scene.colleague.credentials(&query).await?.value.items;
    if some.is_empty() {
        return Ok(());
    }
    let id: CredentialId = variety.of(&some).id;
    if variety.chance(30) {
        let reason = Reason {
            reason: "used from a place that nobody knows".into(),
        };
        scene
            .colleague
            .quarantine(id, &reason, &Once::new())
            .await
            .into_result()?;
    } else {
        let body = Revoke {
            version: None,
            reason: "replaced; the old one must not linger".into(),
        };
        scene
            .colleague
            .revoke(id, &body, &Once::new())
            .await
            .into_result()?;
    }
    Ok(())
}
