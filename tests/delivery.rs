//! Delivery to a real OpenBao: KV v2 by check-and-set, under a token that has just the rights of `assets/openbao`.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::{
    delivery::{Deliver, Delivered, DeliveryError, DeliveryOrder, from_table},
    secret::SecretMaterial,
};
use serde_json::{Value, json};
use support::OpenBao;

async fn destination(bao: &OpenBao) -> Box<dyn Deliver> {
    from_table(toml::from_str(&bao.kv2_toml(&["payments"]).await).unwrap()).unwrap()
}

fn order(id: &str, version: u32, path: &str) -> DeliveryOrder {
    DeliveryOrder {
        id: id.into(),
        credential: format!("name-of/{id}"),
        environment: "production".into(),
        version,
        path: path.into(),
        expires_at: None,
    }
}

fn login(number: u32) -> SecretMaterial {
    let (user, password) = (format!("v-{number}"), format!("p\"{number}"));
    SecretMaterial::from_fields(&[("username", &user), ("password", &password)])
}

async fn held(bao: &OpenBao, path: &str) -> Value {
    let answer = bao.root("GET", &format!("secret/data/{path}"), Value::Null);
    answer.await["data"].take()
}

fn refusal(result: Result<Delivered, DeliveryError>) -> String {
    match result {
        Err(error @ DeliveryError::Refused { .. }) => error.to_string(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_written_once_named_in_the_metadata_and_read_back() {
    let bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    vault.ready().await.unwrap();
    let path = "payments/checkout-db";
    for version in [1, 2] {
        for _ in 0..2 {
            let delivered = vault
                .deliver(&order("crd_a", version, path), &login(version))
                .await;
            assert_eq!(
                delivered.unwrap(),
                Delivered {
                    place: format!("secret/{path}, version {version}"),
                    proven: true
                },
                "a repetition writes nothing"
            );
        }
    }
    let held = held(&bao, path).await;
    assert_eq!(held["data"], json!({"username": "v-2", "password": "p\"2"}));
    let metadata = &held["metadata"];
    assert_eq!(metadata["version"], 2);
    assert_eq!(metadata["custom_metadata"]["countersign-id"], "crd_a");
    assert_eq!(metadata["custom_metadata"]["countersign-version"], "2");
    assert_eq!(
        metadata["custom_metadata"]["countersign-credential"],
        "name-of/crd_a"
    );
    let audit = bao.audit_log();
    assert!(
        audit.contains("crd_a/2"),
        "OpenBao's audit log names the delivery"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_or_somebody_elses_stays() {
    let bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    let path = "payments/checkout-db";
    let put = async |id: &str, version, path: &str| {
        vault
            .deliver(&order(id, version, path), &login(version))
            .await
    };
    put("crd_a", 3, path).await.unwrap();
    let older = refusal(put("crd_a", 2, path).await);
    assert!(older.contains("holds version 3, which is newer"), "{older}");
    let other = refusal(put("crd_b", 9, path).await);
    assert!(
        other.contains("holds the secret of name-of/crd_a"),
        "{other}"
    );
    let foreign = json!({"data": {"username": "theirs"}});
    bao.root("POST", "secret/data/payments/theirs", foreign)
        .await;
    let foreign = refusal(put("crd_a", 4, "payments/theirs").await);
    assert!(foreign.contains("did not write"), "{foreign}");
    let outside = refusal(put("crd_a", 4, "ops/x").await);
    assert!(
        outside.contains("expected a path below payments"),
        "{outside}"
    );
    assert_eq!(held(&bao, path).await["data"]["username"], "v-3");
    assert_eq!(
        held(&bao, "payments/theirs").await["data"]["username"],
        "theirs"
    );
    // What somebody removed by hand is written again, and what they added to the metadata stays.
    let note = json!({"custom_metadata": {"countersign-id": "crd_a", "countersign-version": "3", "team": "pay"}});
    bao.root("POST", &format!("secret/metadata/{path}"), note)
        .await;
    bao.root("DELETE", &format!("secret/data/{path}"), Value::Null)
        .await;
    put("crd_a", 3, path).await.unwrap();
    put("crd_a", 4, path).await.unwrap();
    let held = held(&bao, path).await;
    assert_eq!(held["data"]["username"], "v-4");
    assert_eq!(held["metadata"]["custom_metadata"]["team"], "pay");
}

/// Many writers of many versions at once: whatever the order, the newest is there at the end, and never an older one
/// after it.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_end_with_the_newest() {
    let bao = OpenBao::start().await;
    let mut writers = Vec::new();
    for version in 1..=6 {
        // Each with a client of its own, and each twice.
        for _ in 0..2 {
            let vault = destination(&bao).await;
            writers.push(tokio::spawn(async move {
                let order = order("crd_a", version, "payments/race");
                loop {
                    match vault.deliver(&order, &login(version)).await {
                        Ok(_) => break true,
                        Err(DeliveryError::Refused { .. }) => break false,
                        Err(_) => {}
                    }
                }
            }));
        }
    }
    let mut ended = Vec::new();
    for writer in writers {
        ended.push(writer.await.unwrap());
    }
    assert!(ended[10] && ended[11], "the newest always arrives");
    let metadata = bao.root("GET", "secret/metadata/payments/race", Value::Null);
    let current = metadata.await["data"]["current_version"].as_u64().unwrap();
    let mut last = String::new();
    for version in 1..=current {
        let path = format!("secret/data/payments/race?version={version}");
        let held = bao.root("GET", &path, Value::Null).await;
        let user = held["data"]["data"]["username"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(user > last, "{user} was written over {last}");
        last = user;
    }
    assert_eq!(last, "v-6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_denies_is_told_apart() {
    let mut bao = OpenBao::start().await;
    let vault = destination(&bao).await;
    let put = async || {
        vault
            .deliver(&order("crd_a", 1, "payments/x"), &login(1))
            .await
    };
    let denied = json!({"policy": "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }"});
    let policy = "sys/policies/acl/countersign-deliver";
    let granted = bao.root("GET", policy, Value::Null).await["data"]["policy"].take();
    bao.root("PUT", policy, denied).await;
    let said = refusal(put().await);
    assert!(said.contains("countersign-deliver.hcl"), "{said}");
    bao.root("PUT", policy, json!({"policy": granted})).await;
    bao.seal().await;
    let sealed = put().await.unwrap_err();
    assert!(
        matches!(sealed, DeliveryError::Unavailable { .. }),
        "{sealed}"
    );
    assert!(vault.ready().await.is_err());
    bao.unseal().await;
    put().await.unwrap();
    bao.stop();
    let away = put().await.unwrap_err();
    assert!(matches!(away, DeliveryError::Unavailable { .. }), "{away}");
}
