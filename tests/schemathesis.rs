//! The served OpenAPI document against the served API, by schemathesis: whatever it makes up, no answer is a 5xx,
//! and none has a status, a header, a content type or a body that the document does not have.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::client::{Client, Once};
use countersign::wire::{
    Environment, Kind, NewClient, NewOperator, NewRequest, RequestState, Role, Tier,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::company::{credential_of, done, reaches};
use support::{BrokerProcess, Company};

/// Everything that a document can promise. Left out, each for its reason:
/// - `negative_data_rejection`: a `limit` beyond the maximum is clamped and an `ETag` of another form matches nothing;
///   both are promised. It also takes 413 and 414 for acceptance.
/// - `positive_data_acceptance`: a schema cannot say that an object exists, a cursor was given out, a key is fresh.
/// - `object_level_authorization`, `use_after_free`: they need two signed-in users and links; `tests/api` has them.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,missing_required_header,unsupported_method,\
    allow_header_conformance,ignored_auth";

/// Something of everything, so that what is asked for by identifier is there.
struct Scene {
    broker: BrokerProcess,
    /// Holds every role of a person.
    person: String,
    /// Asks for its client.
    robot: String,
    /// What `{id}` can be, by collection.
    identifiers: Vec<(&'static str, Vec<String>)>,
}

async fn hire(admin: &Client, name: &str, new: impl FnOnce(&mut NewOperator)) -> (String, String) {
    let mut operator = NewOperator {
        name: name.into(),
        display_name: String::new(),
        robot: false,
        groups: BTreeSet::new(),
        roles: BTreeMap::new(),
        client: None,
        token_ttl_s: 86_400,
    };
    new(&mut operator);
    let minted = done(admin.add_operator(&operator, &Once::new()).await);
    (minted.token, minted.operator.to_string())
}

impl Scene {
    async fn set() -> Self {
        let broker = BrokerProcess::start("");
        let company = Company::found(&broker, 2).await;
        let key = NewRequest {
            kind: Kind::ApiKey,
            role: String::new(),
            scopes: vec!["reports:read".into()],
            ..company.login("reports/key", "unused")
        };
        let issued = company.approved(&key).await;
        let detail = reaches(&company.admin, issued, RequestState::Issued).await;
        let credential = credential_of(&company.admin, &detail).await;
        let asked = NewRequest {
            credential: "reports/other".into(),
            ..key
        };
        let waiting = company.asked(&asked).await;
        let spare = NewClient {
            name: "spare".into(),
            owner: "payments".into(),
            contact: String::new(),
            environment: Environment::Staging,
            tier: Tier::Low,
            dependents: Vec::new(),
        };
        let spare = done(company.admin.add_client(&spare, &Once::new()).await).subject;
        let (_token, somebody) = hire(&company.admin, "somebody", |_| {}).await;
        let (person, _) = hire(&company.admin, "everything", |new| {
            let roles = [
                Role::Viewer,
                Role::Operator,
                Role::Approver,
                Role::Auditor,
                Role::Admin,
            ];
            let of = |environment: &Environment| (*environment, roles.into_iter().collect());
            new.roles = Environment::ALL.iter().map(of).collect();
            new.groups.insert("security".into());
        })
        .await;
        let (robot, _) = hire(&company.admin, "asker", |new| {
            new.robot = true;
            new.client = Some(company.client);
            new.roles
                .insert(Environment::Production, [Role::Requester].into());
        })
        .await;
        Self {
            broker,
            person,
            robot,
            identifiers: vec![
                ("requests", vec![issued.to_string(), waiting.to_string()]),
                ("credentials", vec![credential.row.id.to_string()]),
                ("clients", vec![spare]),
                ("operators", vec![somebody]),
            ],
        }
    }

    /// The settings of a run. One in three identifiers is of nothing that is there.
    fn write_settings(&self, file: &Path) {
        let mut text = String::new();
        for (collection, found) in &self.identifiers {
            let prefix = found[0].split('_').next().unwrap();
            let nothing = format!("{prefix}_{:026}", 0);
            let known: Vec<_> = found.iter().chain(found).chain([&nothing]).collect();
            text += &format!(
                "[[operations]]\ninclude-path-regex = \"^/v1/{collection}/[{{]id\"\n\
                 parameters = {{ \"path.id\" = {known:?} }}\n\n"
            );
        }
        std::fs::write(file, text).unwrap();
    }
}

/// `st` beside the Python that `tests/run.sh` names, where it makes its environment, or on the path.
fn program() -> PathBuf {
    let beside = std::env::var_os("COUNTERSIGN_TEST_PYTHON")
        .map(|python| Path::new(&python).with_file_name("st"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain([target.join("tools/bin/st")])
        .chain(std::env::split_paths(&path).map(|folder| folder.join("st")))
        .find(|candidate| candidate.is_file())
        .expect("schemathesis is missing: run tests/run.sh")
}

fn run(scene: &Scene, who: &str, token: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("schemathesis.toml");
    scene.write_settings(&settings);
    let output = Command::new(program())
        .arg("--config-file")
        .arg(&settings)
        .arg("run")
        .arg(format!("{}/openapi.json", scene.broker.url()))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "12", "--seed", "1", "--workers", "2"])
        .args(["--request-timeout", "20", "--no-color"])
        // Endless by design; `tests/api/stream.rs` has it.
        .args(["--exclude-operation-id", "events_follow"])
        // Would end the token that the run signs in with; `tests/api/authorization.rs` has it.
        .args(["--exclude-operation-id", "session_sign_out"])
        // They speak for a gateway, by its own token; `tests/api/gateways.rs` has them.
        .args(["--exclude-operation-id", "gateways_pending"])
        .args(["--exclude-operation-id", "gateways_cursor"])
        .args(["--exclude-operation-id", "gateways_report_usage"])
        // So does this; `tests/api/oauth.rs` has it.
        .args(["--exclude-operation-id", "introspection_oauth_introspect"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let shown: Vec<String> = text
        .lines()
        .map(|line| line.chars().take(400).collect())
        .collect();
    let shown = format!("as {who}:\n{}", shown.join("\n"));
    assert!(output.status.success(), "{shown}");
    assert!(
        text.contains("No issues found") || text.contains("generated"),
        "{shown}"
    );
    assert!(
        !text.contains("Unmatched filters"),
        "an operation was renamed; {shown}"
    );
    assert!(
        !text.contains("401 Unauthorized ("),
        "it was signed out on the way; {shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_outside_the_document() {
    let scene = Scene::set().await;
    run(&scene, "a person with every role", &scene.person);
    run(&scene, "a robot that asks", &scene.robot);
    let log = scene.broker.log();
    let broken = log
        .lines()
        .filter(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panicked"));
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<&str>::new());
}
