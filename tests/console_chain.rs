//! The console's check of a log that a real broker serves, over real HTTP.

mod support;

use countersign::client::chain::{ChainState, Keep};
use countersign::console::chain::watch;
use countersign::console::event::Event;
use countersign::console::link::Sender;
use countersign::console::run::Incoming;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use support::broker::BrokerProcess;

/// The first state that is neither unchecked nor on its way.
fn settled(incoming: &Receiver<Incoming>) -> ChainState {
    loop {
        let next = incoming
            .recv_timeout(Duration::from_secs(30))
            .expect("the check reports");
        if let Incoming::Event(Event::Chain(state)) = next
            && !matches!(state, ChainState::Unchecked | ChainState::Checking { .. })
        {
            return state;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_s_log_is_found_whole_and_another_log_in_its_place_is_an_alarm() {
    let broker = BrokerProcess::start("");
    let client = broker.client(&broker.admin_token());
    let folder = tempfile::tempdir().unwrap();
    let keep = || Keep::new(folder.path().join("prod"));
    let (sender, incoming) = sync_channel(64);
    let (_newest, heard) = tokio::sync::watch::channel(Some(0));
    let task = tokio::spawn(watch(
        client.clone(),
        Sender::new(sender),
        keep(),
        None,
        "prod".into(),
        heard.clone(),
    ));
    let state = tokio::task::block_in_place(|| settled(&incoming));
    let ChainState::Whole {
        size,
        key_on_trust: true,
        ..
    } = state
    else {
        panic!("not whole: {state:?}");
    };
    assert_eq!(size, client.head().await.unwrap());
    task.abort();
    let pinned = std::fs::read_to_string(folder.path().join("prod/checkpoint")).unwrap();
    assert_eq!(pinned, client.checkpoint().await.unwrap());

    let other = BrokerProcess::start("");
    let impostor = other.client(&other.admin_token());
    let (sender, incoming) = sync_channel(64);
    let task = tokio::spawn(watch(
        impostor,
        Sender::new(sender),
        keep(),
        None,
        "prod".into(),
        heard,
    ));
    let state = tokio::task::block_in_place(|| settled(&incoming));
    task.abort();
    let ChainState::Alarm(alarm) = state else {
        panic!("no alarm: {state:?}");
    };
    assert_eq!(alarm.word, "OTHER KEY");
    assert_eq!(alarm.command, "countersign audit verify --context prod");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_configured_key_nothing_is_trusted_on_first_use() {
    let broker = BrokerProcess::start("");
    let client = broker.client(&broker.admin_token());
    let key = broker.started().verifier_key.clone();
    let check = async |trusted: &str| {
        let (sender, incoming) = sync_channel(64);
        let (_newest, heard) = tokio::sync::watch::channel(Some(0));
        let task = tokio::spawn(watch(
            client.clone(),
            Sender::new(sender),
            Keep::nowhere(),
            Some(trusted.to_owned()),
            "prod".into(),
            heard,
        ));
        let state = tokio::task::block_in_place(|| settled(&incoming));
        task.abort();
        state
    };
    let ChainState::Whole {
        key_on_trust: false,
        ..
    } = check(&key).await
    else {
        panic!("the configured key is the broker's");
    };

    let other = BrokerProcess::start("");
    let state = check(&other.started().verifier_key).await;
    let ChainState::Alarm(alarm) = &state else {
        panic!("no alarm: {state:?}");
    };
    assert_eq!(alarm.word, "OTHER KEY");
    let refusal = countersign::console::chain::refuses_changes(&state).unwrap();
    assert!(refusal.starts_with("read only: the log failed its check"));
}
