//! The largest that can be asked for still fits one leaf of the log; the world's recorder measures each.

use crate::world::*;
use countersign::domain::{
    Actor, Command, Context, Decision, Digest, Evaluation, Facts, GatewayId, OperatorId, Profile,
    ProposalId, Quorum, RiskFactor, Role, Route, RuleResult, StepUp,
    check::{LIST_MAX, NAME_MAX, PAYLOAD_MAX, SCOPE_MAX, SIGNATURE_MAX, TEXT_MAX, clip},
    event::{Event, UsageEntry},
    facts::{AnomalyFacts, ApprovalFacts},
    gateway::{GATEWAYS_MAX, PREFIX_MAX, ROUTES_MAX},
    operator::Authenticator,
    policy::{FILES_MAX, REASON_MAX, encoded_size},
    request::Outcome,
    revocation::{Evidence, Reached},
};
use std::collections::BTreeMap;

/// Free text at its worst: each byte becomes six in JSON.
fn text() -> String {
    "\u{1}".repeat(TEXT_MAX)
}

/// One line at its worst: each byte becomes two.
fn line(max: usize) -> String {
    "\"".repeat(max)
}

fn name(number: usize) -> String {
    format!("{number:0>NAME_MAX$}")
}

fn list() -> Vec<String> {
    (0..LIST_MAX)
        .map(|number| format!("{number:0>SCOPE_MAX$}"))
        .collect()
}

fn endless(outcome: Outcome) -> Evaluation {
    let rule = |effect: &str| RuleResult {
        id: line(900),
        effect: effect.into(),
        reason: line(9_000),
    };
    let factor = RiskFactor {
        id: line(900),
        points: i32::MIN,
        reason: line(9_000),
    };
    let mut evaluation = evaluation(outcome, 1);
    evaluation.rules = vec![rule("deny"); 500];
    evaluation.risk.factors = vec![factor; 500];
    evaluation.policy_version = line(9_000);
    if let Some(quorum) = &mut evaluation.quorum {
        quorum.groups.extend((0..500).map(name));
    }
    evaluation
}

/// Everything that a request can be about, in names and scopes of the longest kind.
fn endless_facts() -> Facts {
    let mut facts = Facts::ordinary("api_key", "production");
    facts.request.scopes = list();
    facts.request.audience = name(3);
    facts.client.name = name(5);
    facts.client.owner = name(6);
    facts.requester.name = name(7);
    facts.requester.groups = (0..500).map(name).collect();
    facts.grants.client_scopes = list();
    // Each scope is either new to the requester or was held.
    facts.grants.requester_scopes = list().split_off(LIST_MAX / 2);
    facts.history.new_scopes = list()[..LIST_MAX / 2].to_vec();
    facts.data.classes = list();
    facts.approvals = vec![
        ApprovalFacts {
            by: name(8),
            groups: (0..500).map(name).collect(),
        };
        500
    ];
    facts.anomalies = vec![
        AnomalyFacts {
            kind: line(900),
            subject: line(900),
        };
        500
    ];
    facts.bounded()
}

/// As from a caller who fills every header.
fn full(world: &World, actor: Actor) -> Context {
    Context {
        from: Some("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".into()),
        request_id: line(128),
        trace: Some("f".repeat(32)),
        idempotency: Some((line(255), Digest([255; 32]))),
        ..world.context(actor)
    }
}

fn runs(world: &mut World, actor: Actor, command: &Command) {
    let context = full(world, actor);
    let outcome = world.try_with(&context, command);
    assert!(
        outcome.is_ok_and(|kinds| !kinds.is_empty()),
        "{} was not accepted",
        command.name()
    );
}

#[test]
fn the_largest_request_and_its_approval_fit() {
    let mut world = World::new();
    for outcome in [Outcome::Deny, Outcome::Needs] {
        let mut largest = plan(&name(1));
        largest.issuer = name(2);
        largest.audience = name(3);
        largest.scopes = list();
        let (request, command) = world.submission(largest, endless(outcome));
        let Command::SubmitRequest {
            id,
            plan,
            digest,
            evaluation,
            ..
        } = command
        else {
            unreachable!()
        };
        let command = Command::SubmitRequest {
            id,
            plan,
            digest,
            evaluation,
            reason: text(),
            owner: name(4),
            tags: list(),
            facts: Box::new(endless_facts()),
        };
        runs(&mut world, by(OPAL), &command);
        if outcome == Outcome::Needs {
            let approve = world.approve(request);
            let Command::Approve {
                approval, digest, ..
            } = approve
            else {
                unreachable!()
            };
            world.enrol_key(ANA);
            let reason = text();
            let mut checked = world.signed(ANA, request, Decision::Approve, &reason);
            checked.signed.payload = "\\".repeat(PAYLOAD_MAX);
            checked.signed.signature = "\n".repeat(SIGNATURE_MAX);
            checked.signed.allowed_signer = line(2 * TEXT_MAX);
            let command = Command::Approve {
                request,
                approval,
                digest,
                reason,
                checked: Some(Box::new(checked)),
            };
            runs(&mut world, by(ANA), &command);
            let start = world.start(request);
            runs(&mut world, BROKER, &start);
            let mut minted = world.minted(request, &[]);
            if let Command::RecordMinted { minted, .. } = &mut minted {
                minted.warnings = vec![text(); 100];
                minted.locator = (0..8).map(|number| (name(number), line(512))).collect();
            }
            runs(&mut world, BROKER, &minted);
        }
    }
}

#[test]
fn the_largest_accounts_clients_and_adoptions_fit() {
    let mut world = World::new();
    let mut someone = operator(
        person(70),
        &name(1),
        countersign::domain::Environment::ALL,
        Role::ALL,
        &[],
    );
    someone.client = Some(CHECKOUT);
    someone.groups = (0..LIST_MAX).map(name).collect();
    someone.display_name = line(256);
    someone.authenticators = vec![
        Authenticator::Token(countersign::domain::Token {
            key: Some(line(NAME_MAX)),
            ..token(70)
        });
        8
    ];
    runs(
        &mut world,
        by(ROOT),
        &Command::EnrolOperator(Box::new(someone)),
    );
    let mut largest = client(
        countersign::domain::ClientId::from_bits(70),
        &name(70),
        PROD,
    );
    largest.owner = name(2);
    largest.contact = text();
    largest.dependents = list();
    runs(
        &mut world,
        by(ROOT),
        &Command::OnboardClient(Box::new(largest)),
    );
    let mut widest = gateway(GatewayId::from_bits(9), &name(9), Profile::Envoy, 59);
    widest.audiences = list()
        .into_iter()
        .map(|text| text.as_str().into())
        .collect();
    widest.routes = vec![
        Route {
            prefix: format!("/{}", "x".repeat(PREFIX_MAX - 1)),
            methods: vec!["ABCDEFGHIJKLMNOP".into(); 16],
            scope: list().remove(0),
        };
        ROUTES_MAX
    ];
    runs(
        &mut world,
        by(ROOT),
        &Command::RegisterGateway(Box::new(widest)),
    );
    let mut held = adopted(&mut world, &name(9));
    held.issuer = name(1).into();
    held.role = name(1).into();
    held.owner = name(1).into();
    held.audience = name(1).into();
    held.scopes = list().into();
    held.tags = list().into();
    held.versions[0].locator = (0..8).map(|number| (name(number), line(512))).collect();
    let credential = held.id;
    runs(&mut world, by(ROOT), &Command::Adopt(Box::new(held)));
    let mut revoke = world.revoke(credential, None);
    if let Command::Revoke { reason, .. } = &mut revoke {
        *reason = text();
    }
    let Command::Revoke { id: revocation, .. } = revoke else {
        unreachable!()
    };
    runs(&mut world, by(ROOT), &revoke);
    let everybody = (0..GATEWAYS_MAX as u128).map(|number| Reached {
        gateway: GatewayId::from_bits(u128::MAX - number),
        sent_at: None,
    });
    let hurried = world.context(BROKER);
    world.record(
        &hurried,
        "sweep",
        Event::RevocationApplied {
            revocation,
            gateways: everybody.collect(),
            by: Evidence::CacheEnded,
        },
    );
    let reason = "\"".repeat(1_000_000);
    runs(
        &mut world,
        BROKER,
        &Command::RecordEnforcementFailed {
            revocation,
            reason: reason.clone(),
        },
    );
    runs(
        &mut world,
        BROKER,
        &Command::RecordLeftover {
            issuer: reason.clone(),
            what: reason,
        },
    );
    let closed: OperatorId = ANA;
    runs(
        &mut world,
        by(ROOT),
        &Command::OffboardOperator {
            operator: closed,
            reason: text(),
            hand_over_to: None,
        },
    );
}

#[test]
fn an_hours_use_fits_and_more_is_refused() {
    let mut world = World::new();
    let entry = UsageEntry {
        credential: countersign::domain::CredentialId::from_bits(u128::MAX),
        accepted: 1 << 53,
        refused: 1 << 53,
        last_used_at: Some(world.now + chrono::Duration::milliseconds(1)),
    };
    let mut entries = vec![entry; Command::USAGE_LIMIT];
    let hour = world.now;
    runs(
        &mut world,
        BROKER,
        &Command::RollUpUsage {
            hour,
            entries: entries.clone(),
        },
    );
    entries.push(entries[0].clone());
    let command = Command::RollUpUsage { hour, entries };
    assert!(
        world
            .when(BROKER, command)
            .starts_with("refused limit-reached")
    );
}

#[test]
fn words_from_outside_are_cut_at_a_character() {
    assert_eq!(clip("sealed", 6), "sealed");
    assert_eq!(clip("sealed\r\nagain", 100), "sealed  again");
    assert_eq!(clip("ääää", 7), "ää…");
}

#[test]
fn the_largest_policy_and_its_approval_fit() {
    let mut world = World::new();
    // Text at its worst: each byte becomes six.
    let hostile = "\u{1}".repeat(FILES_MAX / 6 - 1_000);
    let plain = "x".repeat(FILES_MAX - 1_000);
    for (digest, filler) in [(1, hostile), (2, plain)] {
        let mut files: BTreeMap<String, String> =
            (0..4).map(|number| (name(number), String::new())).collect();
        files.insert("issue.rego".into(), filler);
        assert!(encoded_size(&files) <= FILES_MAX);
        let measured = serde_json::to_vec(&files).unwrap().len();
        assert!(measured <= encoded_size(&files), "{measured}");
        let propose = Command::ProposePolicy {
            id: ProposalId::from_bits(world.fresh()),
            digest: Digest([digest; 32]),
            files,
            base: 1,
            base_digest: Digest([7; 32]),
            step_up: StepUp::HardwareKey,
            reason: "\u{1}".repeat(REASON_MAX),
            quorum: Quorum {
                count: 1,
                groups: std::iter::once("security".to_owned())
                    .chain((1..LIST_MAX).map(name))
                    .collect(),
            },
            approval_ttl_s: u64::MAX,
        };
        let context = Context {
            if_match: None,
            ..full(&world, by(OPAL))
        };
        let proposed = world.try_with(&context, &propose);
        assert_eq!(proposed, Ok(vec!["policy.proposed"]));
    }
}
