//! The demo's history is made by the real engine: what it shows must be what the log says.

use countersign::{
    broker::serve::{Broker, Options},
    clock,
    config::BrokerConfig,
    demo::{company::Company, history},
    domain::{Kind, Proof, RequestState},
};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn weeks_of_history_end_now_with_a_queue_and_a_fleet_of_several_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        data: folder.path().join("data"),
        origin: None,
        // Its past has room: no leaf is older than the first, which opens the first account.
        now: clock::now() - history::WEEKS,
        admin_token_file: Some(folder.path().join("admin")),
        config: BrokerConfig::default(),
    };
    let broker = Broker::open_quiet(&options).await.unwrap();
    let now = clock::now();
    let cast = history::make(&broker.engine, &Company::shipped(), 400, 1, now)
        .await
        .unwrap();
    let state = broker.engine.state();
    let kinds: BTreeSet<Kind> = state
        .credentials
        .values()
        .map(|credential| credential.kind)
        .collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let fleet = state.credentials.len();
    assert!((330..=400).contains(&fleet), "{fleet} credentials");
    assert!(state.awaiting.len() >= 5, "{} wait", state.awaiting.len());
    let risks: BTreeSet<u8> = state
        .awaiting
        .iter()
        .filter_map(|id| Some(state.requests[id].evaluation.as_ref()?.risk.score))
        .collect();
    assert!(risks.len() > 2, "{risks:?}");
    let signed = state
        .requests
        .values()
        .flat_map(|request| &request.approvals)
        .filter(|approval| matches!(approval.proof, Proof::SshSignature(_)))
        .count();
    assert!(signed > 100, "{signed} signatures");
    let claimed = state
        .requests
        .values()
        .filter(|request| request.state == RequestState::Claimed)
        .count();
    let denied = state
        .requests
        .values()
        .filter(|request| request.state == RequestState::Denied)
        .count();
    assert!(
        claimed > 100 && denied > 3,
        "{claimed} claimed, {denied} denied"
    );
    assert!(!state.revocations.is_empty() && !state.to_enforce.is_empty());
    assert_eq!(cast.stations.len(), state.gateways_in_service());
    let silent = cast.stations.iter().find(|station| !station.heard).unwrap();
    assert!(
        state.unapplied_by(silent.id).count() > 0,
        "something waits for the gateway that is cut off"
    );
    assert!(state.time <= now);
    let operator = state.operator_of_token(&cast.approver.1.digest()).unwrap();
    assert_eq!(operator.name, "maya.k");
    broker.stop().await;
}
