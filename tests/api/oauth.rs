//! Introspection and revocation as OAuth software asks for them.

use crate::harness::{Answer, Api};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";

async fn gateway(api: &Api, name: &str, more: Value) -> String {
    let mut body = json!({"name": name, "profile": "introspection", "environment": "development",
        "token_ttl_s": 3600});
    let fields = body.as_object_mut().expect("it is one");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let minted = api.post(&api.admin, "/v1/gateways", body).await;
    let minted = minted.is(201).json();
    minted["token"].as_str().expect("a token").to_owned()
}

async fn form(api: &Api, token: &str, path: &str, body: &str) -> Answer {
    let request = api
        .request(Method::POST, token, path)
        .header("content-type", FORM)
        .body(body.to_owned());
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_told_what_it_may_accept_and_nothing_else() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let here = gateway(&api, "here", json!({"cache_s": 5})).await;
    let aside = gateway(&api, "aside", json!({"audiences": ["elsewhere"]})).await;
    let far = gateway(&api, "far", json!({"environment": "production"})).await;
    let path = "/oauth/introspect";
    let asked = "token=the+key&token_type_hint=access_token&client_id=ignored";

    let yes = form(&api, &here, path, asked).await.is(200);
    assert_eq!(yes.header("cache-control"), "private, max-age=5");
    let told = yes.json();
    assert_eq!(
        (&told["active"], &told["sub"]),
        (&json!(true), &json!(credential))
    );
    assert_eq!(told["scope"], "orders:read");
    // The same by HTTP Basic, under the gateway's name and no other.
    for (name, status) in [("here", 200), ("far", 401)] {
        let pair = STANDARD.encode(format!("{name}:{here}"));
        let request = api
            .request(Method::POST, "", path)
            .header("authorization", format!("Basic {pair}"))
            .header("content-type", FORM)
            .body(asked);
        Answer::of(request).await.is(status);
    }
    // Unknown, and for another place: not a word more.
    for (token, body) in [(&here, "token=another"), (&aside, asked), (&far, asked)] {
        let no = form(&api, token, path, body).await.is(200);
        assert_eq!(no.text, r#"{"active":false}"#);
        assert_eq!(no.header("cache-control"), "no-store");
    }
    // People and strangers are no gateways.
    for token in [api.admin.as_str(), "", "made up"] {
        let refused = form(&api, token, path, asked).await.is(401);
        assert_eq!(refused.json()["error"], "invalid_client");
        assert!(refused.header("www-authenticate").contains("Basic"));
    }
    for body in ["", "token=", "token=a&token=b", "hint=x"] {
        let refused = form(&api, &here, path, body).await.is(400);
        assert_eq!(refused.json()["error"], "invalid_request", "{body}");
    }
    let json = api
        .request(Method::POST, &here, path)
        .json(&json!({"token": "the key"}));
    Answer::of(json).await.is(400);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_a_token_gives_it_up_and_learns_nothing_by_it() {
    let api = Api::start().await;
    let client = api.client("orders-api", "development").await;
    let credential = api.adopt("orders/key", &client, "the key").await;
    let here = gateway(&api, "here", json!({})).await;
    let path = "/oauth/revoke";
    let strip = |answer: Answer| {
        let names = [
            "content-type",
            "content-length",
            "cache-control",
            "countersign-sequence",
        ];
        let headers = names.map(|name| answer.header(name).to_owned());
        (answer.status, headers, answer.text)
    };
    let unknown = strip(form(&api, "", path, "token=another").await);
    assert_eq!((unknown.0.as_u16(), unknown.2.as_str()), (200, ""));
    let given_up = strip(form(&api, "", path, "token=the+key").await);
    assert_eq!(given_up, unknown);
    assert_eq!(strip(form(&api, "", path, "token=the+key").await), unknown);

    let shown = format!("/v1/credentials/{credential}");
    let detail = api.get(&api.admin, &shown).await.is(200).json();
    assert_eq!(detail["versions"][0]["state"], "revoked");
    assert_eq!(detail["revocations"].as_array().map(Vec::len), Some(1));
    assert_eq!(detail["revocations"][0]["by"], "holder");
    let no = form(&api, &here, "/oauth/introspect", "token=the+key").await;
    assert_eq!(no.is(200).text, r#"{"active":false}"#);

    // What signs somebody in is withdrawn elsewhere, whether it is anybody's or not.
    for token in [here.as_str(), api.admin.as_str()] {
        let refused = form(&api, "", path, &format!("token={token}"))
            .await
            .is(400);
        assert_eq!(refused.json()["error"], "unsupported_token_type");
    }
    api.get(&api.admin, &shown).await.is(200);
    let refused = form(&api, "", path, "hint=x").await.is(400);
    assert_eq!(refused.json()["error"], "invalid_request");
    api.stop().await;
}
