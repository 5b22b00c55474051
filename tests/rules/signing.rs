//! Keys, and what a signature must say to count: each rule of what is seen and signed that the rules decide, by name.
//! Whether a signature fits its bytes is settled before them (`tests/api/signing.rs`).

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Checked, Command, Decision, Evaluation, OperatorId, Proof, Quorum, RequestId, RequestState,
    Review, RevocationId, StepUp, Token, TokenId, VersionState,
    operator::{Continued, RENEWAL_GRACE, SESSION_MAX},
    request::Outcome,
};

const GIVEN: &str = "approval.given";
const COMPLETE: &str = "approval.given request.approved";

/// Policy wants two signatures.
fn signed_evaluation(step_up: StepUp) -> Evaluation {
    Evaluation {
        step_up,
        ..evaluation(Outcome::Needs, 2)
    }
}

/// A request that wants signatures, with keys enrolled before it.
fn asked(world: &mut World) -> RequestId {
    for who in [ANA, BEN] {
        world.enrol_key(who);
    }
    world.pass(Duration::seconds(1));
    let (id, command) = world.submission(
        plan("payments/api"),
        signed_evaluation(StepUp::SshSignature),
    );
    world.given(by(OPAL), command);
    id
}

/// The approval of `who`, with what was signed changed by `change`.
fn changed(
    world: &mut World,
    who: OperatorId,
    request: RequestId,
    change: impl FnOnce(&mut Checked),
) -> String {
    let mut command = world.approve_signed(who, request);
    if let Command::Approve {
        checked: Some(checked),
        ..
    } = &mut command
    {
        change(checked);
    }
    world.when(by(who), command)
}

#[test]
fn two_signatures_are_a_quorum() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    assert_eq!(changed(&mut world, BEN, request, |_| {}), COMPLETE);
    let start = world.start(request);
    assert_eq!(world.when(BROKER, start), "issuance.started");
}

#[test]
fn a_session_alone_decides_nothing_that_wants_a_signature() {
    let mut world = World::new();
    let request = asked(&mut world);
    let unsigned = world.approve(request);
    assert_eq!(
        world.when(by(ANA), unsigned),
        "refused separation-of-duties signature-needed"
    );
}

#[test]
fn a_closed_form_about_this_request_by_this_person_and_nothing_else() {
    let about = |what: &str| format!("refused conflict what was signed is about another {what}");
    let mut world = World::new();
    let request = asked(&mut world);
    let (other, command) = world.submission(
        plan("payments/other"),
        signed_evaluation(StepUp::SshSignature),
    );
    world.given(by(OPAL), command);
    type Change = fn(&mut Checked, RequestId);
    let changes: [(&str, Change); 11] = [
        ("form", |c, _| c.statement.form = "urn:other".into()),
        ("request", |c, other| c.statement.request.id = other),
        ("revision", |c, _| c.statement.request.rev = 2),
        ("digest", |c, _| {
            c.statement.request.digest = digest(&plan("x"))
        }),
        ("plan", |c, _| c.statement.plan.ttl_s += 1),
        ("plan", |c, _| c.statement.plan.scopes.push("all:*".into())),
        ("policy", |c, _| c.statement.policy.version = "2".into()),
        ("policy", |c, _| {
            c.statement.policy.digest = digest(&plan("x"))
        }),
        ("decision", |c, _| c.statement.decision = Decision::Deny),
        ("person", |c, _| {
            c.statement.approver.principal = "ben".into()
        }),
        ("reason", |c, _| c.statement.reason = "other words".into()),
    ];
    for (what, change) in changes {
        let outcome = changed(&mut world, ANA, request, |checked| change(checked, other));
        assert!(outcome.starts_with(&about(what)), "{what}: {outcome}");
    }
    let outcome = changed(&mut world, ANA, request, |checked| {
        checked.statement.approver.key = "SHA256:other".into();
    });
    assert!(outcome.starts_with(&about("key")), "{outcome}");
    assert_eq!(world.state.requests[&request].approvals.len(), 0);
}

#[test]
fn a_statement_is_good_for_its_minutes_only() {
    let mut world = World::new();
    let request = asked(&mut world);
    for change in [
        |checked: &mut Checked| checked.statement.exp = checked.statement.iat,
        |checked: &mut Checked| checked.statement.iat += Duration::minutes(2),
        |checked: &mut Checked| checked.statement.exp += Duration::seconds(1),
    ] {
        let outcome = changed(&mut world, ANA, request, change);
        assert!(
            outcome.starts_with("refused conflict the signature is good from"),
            "{outcome}"
        );
    }
}

#[test]
fn distinct_people_and_distinct_keys() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    assert_eq!(
        changed(&mut world, ANA, request, |_| {}),
        "refused separation-of-duties distinct-people"
    );
    // Two people with one certified key: the rules on enrolment cannot see it, this one does.
    let outcome = changed(&mut world, BEN, request, |checked| {
        let key = format!("SHA256:{}", ANA.bits());
        checked.statement.approver.key.clone_from(&key);
        checked.signed.fingerprint = key;
        checked.signed.certificate = true;
    });
    assert_eq!(outcome, "refused separation-of-duties distinct-keys");
}

#[test]
fn a_key_counts_for_requests_that_came_after_it() {
    let mut world = World::new();
    let (request, command) = world.submission(
        plan("payments/api"),
        signed_evaluation(StepUp::SshSignature),
    );
    world.given(by(OPAL), command);
    world.pass(Duration::seconds(1));
    world.enrol_key(ANA);
    assert_eq!(
        changed(&mut world, ANA, request, |_| {}),
        "refused separation-of-duties key-younger-than-request"
    );
    assert_eq!(
        changed(&mut world, BEN, request, |_| {}),
        "refused separation-of-duties unknown-key"
    );
}

#[test]
fn a_key_that_the_requester_enrolled_does_not_count() {
    let mut world = World::new();
    world.enrol_key(ANA);
    world.pass(Duration::seconds(1));
    let (request, command) = world.submission(
        plan("payments/api"),
        signed_evaluation(StepUp::SshSignature),
    );
    world.given(by(ROOT), command);
    assert_eq!(
        changed(&mut world, ANA, request, |_| {}),
        "refused separation-of-duties key-enrolled-by-requester"
    );
}

#[test]
fn hardware_is_asked_for_where_policy_asks_for_it() {
    let mut world = World::new();
    world.enrol_key(ANA);
    world.pass(Duration::seconds(1));
    let (request, command) =
        world.submission(plan("payments/api"), signed_evaluation(StepUp::HardwareKey));
    world.given(by(OPAL), command);
    assert_eq!(
        changed(&mut world, ANA, request, |_| {}),
        "refused separation-of-duties hardware-key-needed"
    );
    let touched = |checked: &mut Checked| checked.signed.hardware = true;
    assert_eq!(changed(&mut world, ANA, request, touched), GIVEN);
}

#[test]
fn a_removed_key_takes_its_approvals_with_it() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    let remove = Command::RemoveKey {
        operator: ANA,
        fingerprint: format!("SHA256:{}", ANA.bits()),
        reason: "lost".into(),
    };
    assert_eq!(
        world.when(by(ANA), remove),
        "operator.key_removed approval.voided"
    );
    assert_eq!(
        changed(&mut world, BEN, request, |_| {}),
        GIVEN,
        "one of two counts"
    );
    assert_eq!(world.request_state(request), RequestState::AwaitingApproval);
}

#[test]
fn a_key_removed_after_the_quorum_stops_the_issuing() {
    let mut world = World::new();
    let request = asked(&mut world);
    changed(&mut world, ANA, request, |_| {});
    assert_eq!(changed(&mut world, BEN, request, |_| {}), COMPLETE);
    let remove = Command::RemoveKey {
        operator: BEN,
        fingerprint: format!("SHA256:{}", BEN.bits()),
        reason: "stolen".into(),
    };
    assert_eq!(
        world.when(by(ROOT), remove),
        "operator.key_removed approval.voided request.awaiting_approval"
    );
    let start = world.start(request);
    assert!(
        world
            .when(BROKER, start)
            .starts_with("refused conflict attempt 1 cannot begin")
    );
}

#[test]
fn a_policy_that_comes_in_force_voids_what_was_signed_under_the_one_before() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    let late = world.approve_signed(BEN, request);
    let propose = world.proposal(1, 1);
    let Command::ProposePolicy { id, .. } = propose else {
        unreachable!()
    };
    world.given(by(ROOT), propose);
    let approve = world.approve_policy(id);
    world.given(by(ANA), approve);
    assert_eq!(world.state.policy_version(), 2);
    assert!(
        world
            .when(by(BEN), late)
            .starts_with("refused conflict another policy came in force"),
        "the last signature comes after it"
    );
    let again = |version: &str| Command::Reevaluate {
        request,
        evaluation: Box::new(Evaluation {
            policy_version: version.into(),
            ..signed_evaluation(StepUp::SshSignature)
        }),
        facts: Box::new(countersign::domain::Facts::ordinary(
            "api_key",
            "production",
        )),
    };
    assert!(
        world
            .when(BROKER, again("1"))
            .starts_with("refused conflict version 2")
    );
    assert_eq!(
        world.when(BROKER, again("2")),
        "approval.voided request.identified request.evaluated request.awaiting_approval"
    );
    assert_eq!(world.when(BROKER, again("2")), "nothing");
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    assert_eq!(changed(&mut world, BEN, request, |_| {}), COMPLETE);
}

#[test]
fn what_was_approved_and_not_made_is_put_before_a_new_policy_too() {
    let mut world = World::new();
    let request = asked(&mut world);
    changed(&mut world, ANA, request, |_| {});
    assert_eq!(changed(&mut world, BEN, request, |_| {}), COMPLETE);
    let propose = world.proposal(1, 1);
    let Command::ProposePolicy { id, .. } = propose else {
        unreachable!()
    };
    world.given(by(ROOT), propose);
    let approve = world.approve_policy(id);
    world.given(by(ANA), approve);
    let start = world.start(request);
    assert!(
        world
            .when(BROKER, start)
            .starts_with("refused conflict another policy came in force")
    );
    let denied = Command::Reevaluate {
        request,
        evaluation: Box::new(Evaluation {
            policy_version: "2".into(),
            ..evaluation(Outcome::Deny, 0)
        }),
        facts: Box::new(countersign::domain::Facts::ordinary(
            "api_key",
            "production",
        )),
    };
    assert_eq!(
        world.when(BROKER, denied),
        "approval.voided approval.voided request.identified request.evaluated request.denied"
    );
}

#[test]
fn a_production_key_is_countersigned_by_another_admin() {
    let mut world = World::new();
    let second = operator(
        person(40),
        "second",
        &[PROD],
        &[countersign::domain::Role::Admin],
        &[],
    );
    world.given(by(ROOT), Command::EnrolOperator(Box::new(second)));
    let fingerprint = world.enrol_key(ANA);
    let countersign = |operator: OperatorId| Command::CountersignKey {
        operator,
        fingerprint: fingerprint.clone(),
    };
    assert_eq!(
        world.state.operators[&ANA]
            .ssh_key(&fingerprint)
            .unwrap()
            .valid_from,
        None
    );
    let sign_in = Command::SignIn {
        operator: ANA,
        token: countersign::domain::Token {
            key: Some(fingerprint.clone()),
            expires_at: world.now + Duration::hours(1),
            ..token(77)
        },
    };
    assert_eq!(
        world.when(by(ANA), sign_in.clone()),
        "refused separation-of-duties key-not-countersigned"
    );
    assert_eq!(
        world.when(by(ROOT), countersign(ANA)),
        "refused separation-of-duties another-admin"
    );
    assert_eq!(
        world.when(by(ANA), countersign(ANA)),
        "refused role-required this needs the role admin in production"
    );
    assert_eq!(
        world.when(by(person(40)), countersign(ANA)),
        "operator.key_countersigned"
    );
    assert_eq!(world.when(by(person(40)), countersign(ANA)), "nothing");
    assert_eq!(world.when(by(ANA), sign_in), "operator.token_issued");
}

#[test]
fn a_key_is_one_persons_and_opens_short_sessions() {
    let mut world = World::new();
    let fingerprint = world.enrol_key(ANA);
    let again = countersign::domain::SshKey {
        fingerprint: fingerprint.clone(),
        ..world.state.operators[&ANA]
            .ssh_key(&fingerprint)
            .unwrap()
            .clone()
    };
    let enrol = |operator| Command::EnrolKey {
        operator,
        key: again.clone(),
    };
    assert_eq!(world.when(by(ROOT), enrol(ANA)), "nothing");
    assert!(
        world
            .when(by(ROOT), enrol(BEN))
            .starts_with("refused conflict that key is enrolled for ana"),
    );
    assert_eq!(
        world.when(by(ROOT), enrol(ROBO)),
        "refused separation-of-duties people-only"
    );
    let session = |hours, number| Command::SignIn {
        operator: ANA,
        token: countersign::domain::Token {
            id: TokenId::from_bits(number),
            key: Some(fingerprint.clone()),
            expires_at: world.now + Duration::hours(hours),
            ..token(number)
        },
    };
    let (long, short, other) = (session(13, 90), session(1, 91), session(1, 92));
    assert!(
        world
            .when(by(ANA), long)
            .starts_with("refused conflict a session lasts")
    );
    assert_eq!(world.when(by(ANA), short), "operator.token_issued");
    assert_eq!(
        world.when(by(BEN), other.clone()),
        "refused separation-of-duties own-key"
    );
    // What has run out makes room; what a removed key opened ends with it.
    world.pass(Duration::hours(2));
    let Command::SignIn { token, .. } = other else {
        unreachable!()
    };
    let later = Command::SignIn {
        operator: ANA,
        token: countersign::domain::Token {
            expires_at: world.now + Duration::hours(1),
            ..token
        },
    };
    assert_eq!(world.when(by(ANA), later), "operator.token_issued");
    let sessions = |world: &World| {
        let held = world.state.operators[&ANA].tokens();
        held.filter(|token| token.key.is_some()).count()
    };
    assert_eq!(sessions(&world), 1);
    let remove = Command::RemoveKey {
        operator: ANA,
        fingerprint: fingerprint.clone(),
        reason: "replaced".into(),
    };
    world.given(by(ANA), remove);
    assert_eq!(sessions(&world), 0);
}

#[test]
fn a_session_goes_on_to_twelve_hours_after_signing_in() {
    let mut world = World::new();
    let key = world.enrol_key(ANA);
    let open = |world: &World, number: u128, hours: i64, before: Option<&Token>| Token {
        created_at: world.now,
        expires_at: world.now + Duration::hours(hours),
        key: Some(key.clone()),
        continues: before.map(|before| Continued {
            session: before.id,
            signed_in_at: before.signed_in_at(),
        }),
        ..token(number)
    };
    let signs = |world: &mut World, token: &Token| {
        let token = token.clone();
        let operator = ANA;
        world.when(by(ANA), Command::SignIn { operator, token })
    };
    let first = open(&world, 90, 8, None);
    assert_eq!(signs(&mut world, &first), "operator.token_issued");
    world.pass(Duration::hours(7));
    let bound = first.created_at + SESSION_MAX;
    assert_eq!(first.renewable_until(), Some(bound));

    let beyond = open(&world, 91, 6, Some(&first));
    let shorter = open(&world, 91, 1, Some(&first));
    for session in [beyond, shorter] {
        let answer = signs(&mut world, &session);
        assert!(
            answer.starts_with("refused conflict a session is continued to 12 hours"),
            "{answer}"
        );
    }
    let none_open =
        "refused conflict no session of this key is open to be continued: sign in again";
    let of_another_key = Token {
        key: Some("SHA256:other".into()),
        ..open(&world, 91, 5, Some(&first))
    };
    assert_eq!(signs(&mut world, &of_another_key), none_open);
    let mut younger = open(&world, 91, 8, Some(&first));
    younger.continues.as_mut().unwrap().signed_in_at = world.now;
    assert_eq!(signs(&mut world, &younger), none_open);

    // To the bound, once more if the answer was lost, and after a moment the one before is over.
    let second = open(&world, 91, 5, Some(&first));
    assert_eq!(signs(&mut world, &second), "operator.token_issued");
    assert_eq!(second.renewable_until(), Some(bound));
    let again = open(&world, 92, 5, Some(&first));
    assert_eq!(signs(&mut world, &again), "operator.token_issued");
    world.pass(RENEWAL_GRACE);
    let late = open(&world, 93, 4, Some(&first));
    assert_eq!(signs(&mut world, &late), none_open);
    let left: Vec<_> = world.state.operators[&ANA]
        .tokens()
        .filter(|token| token.key.is_some() && world.now < token.expires_at)
        .map(|token| (token.id, token.expires_at))
        .collect();
    assert_eq!(left, [(second.id, bound), (again.id, bound)]);

    world.pass(Duration::hours(4));
    let more = open(&world, 94, 8, Some(&second));
    let answer = signs(&mut world, &more);
    assert!(
        answer.starts_with("refused conflict a session is continued"),
        "{answer}"
    );
    let anew = open(&world, 95, 8, None);
    assert_eq!(signs(&mut world, &anew), "operator.token_issued");
}

#[test]
fn narrowing_voids_what_was_signed_and_takes_only_away() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    let wide = world.state.requests[&request].plan.clone();
    let narrow = |plan: countersign::domain::Plan, outcome| Command::Narrow {
        request,
        digest: digest(&plan),
        plan,
        reason: "an hour is enough".into(),
        evaluation: Box::new(Evaluation {
            step_up: StepUp::SshSignature,
            ..evaluation(outcome, 2)
        }),
    };
    let shorter = countersign::domain::Plan {
        ttl_s: wide.ttl_s / 2,
        ..wide.clone()
    };
    let mut longer = wide.clone();
    longer.ttl_s += 1;
    let mut other = shorter.clone();
    other.audience = "elsewhere".into();
    let mut wider = wide.clone();
    wider.scopes.push("secrets:read".into());
    for (plan, why) in [
        (longer, "refused invalid"),
        (wider, "refused invalid"),
        (other, "refused conflict narrowing takes"),
        (wide, "refused conflict narrowing takes"),
    ] {
        let outcome = world.when(by(BEN), narrow(plan, Outcome::Needs));
        assert!(outcome.starts_with(why), "{outcome}");
    }
    assert_eq!(
        world.when(by(OPAL), narrow(shorter.clone(), Outcome::Needs)),
        "refused separation-of-duties requester-never-counts"
    );
    let stale = world.approve_signed(BEN, request);
    assert_eq!(
        world.when(by(BEN), narrow(shorter, Outcome::Needs)),
        "request.narrowed"
    );
    assert!(
        world
            .when(by(BEN), stale)
            .starts_with("refused conflict what you saw"),
        "what was signed before the narrowing"
    );
    assert_eq!(changed(&mut world, BEN, request, |_| {}), GIVEN);
    assert_eq!(
        changed(&mut world, ANA, request, |_| {}),
        COMPLETE,
        "who signed the wider plan may sign the narrower one"
    );
}

/// The denial of a request by `who`, with this statement, or saying that there is none.
fn denial(
    world: &mut World,
    who: OperatorId,
    request: RequestId,
    checked: Option<Checked>,
    unsigned: bool,
) -> String {
    let command = Command::Deny {
        request,
        digest: world.state.requests[&request].digest,
        reason: "too wide".into(),
        revocation: RevocationId::from_bits(world.fresh()),
        checked: checked.map(Box::new),
        unsigned,
    };
    world.when(by(who), command)
}

fn ended_by(world: &World, request: RequestId) -> Proof {
    let ending = world.state.requests[&request].ended_by.clone();
    ending.unwrap().proof.unwrap()
}

#[test]
fn a_denial_is_signed_by_whoever_has_a_key() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(
        denial(&mut world, ANA, request, None, false),
        "refused separation-of-duties signature-needed",
        "a signature is not left out without a word"
    );
    // What says yes denies nothing, and what says no approves nothing.
    let yes = world.signed(ANA, request, Decision::Approve, "too wide");
    let told = denial(&mut world, ANA, request, Some(yes.clone()), false);
    assert!(told.contains("about another decision"), "{told}");
    let mut renamed = yes;
    renamed.statement.decision = Decision::Deny;
    let told = denial(&mut world, ANA, request, Some(renamed), false);
    assert!(told.contains("about another form"), "{told}");
    let mut other = world.signed(ANA, request, Decision::Deny, "too wide");
    other.statement.plan.ttl_s += 1;
    let told = denial(&mut world, ANA, request, Some(other), false);
    assert!(told.contains("about another plan"), "{told}");

    let checked = world.signed(ANA, request, Decision::Deny, "too wide");
    assert_eq!(
        denial(&mut world, ANA, request, Some(checked), false),
        "request.denied"
    );
    assert!(matches!(ended_by(&world, request), Proof::SshSignature(_)));
}

#[test]
fn stopping_is_kept_from_nobody_and_the_record_says_that_it_was_not_signed() {
    let mut world = World::new();
    let request = asked(&mut world);
    assert_eq!(
        denial(&mut world, ANA, request, None, true),
        "request.denied"
    );
    assert!(matches!(ended_by(&world, request), Proof::Token { .. }));

    // Whoever has no key need not say so.
    let mut world = World::new();
    let (request, command) =
        world.submission(plan("payments/api"), signed_evaluation(StepUp::HardwareKey));
    world.given(by(OPAL), command);
    assert_eq!(
        denial(&mut world, ANA, request, None, false),
        "request.denied"
    );
    assert!(matches!(ended_by(&world, request), Proof::Token { .. }));
}

#[test]
fn what_people_denied_cannot_be_asked_again_unchanged_for_a_day() {
    let mut world = World::new();
    let request = asked(&mut world);
    let digest = world.state.requests[&request].digest;
    let deny = Command::Deny {
        request,
        digest,
        reason: "no".into(),
        revocation: RevocationId::from_bits(9),
        checked: None,
        unsigned: true,
    };
    assert_eq!(world.when(by(ANA), deny), "request.denied");
    let (_, again) = world.submission(plan("payments/api"), evaluation(Outcome::Needs, 2));
    assert!(
        world
            .when(by(OPAL), again.clone())
            .starts_with("refused conflict people denied exactly this")
    );
    let mut less = plan("payments/api");
    less.ttl_s /= 2;
    let (other, less) = world.submission(less, evaluation(Outcome::Needs, 2));
    world.given(by(OPAL), less);
    let back = Command::Withdraw {
        request: other,
        reason: "asked for the whole".into(),
    };
    world.given(by(OPAL), back);
    world.pass(Duration::hours(24));
    world.given(by(OPAL), again);
}

#[test]
fn held_requests_wait_and_questions_are_kept() {
    let mut world = World::new();
    let request = asked(&mut world);
    let hold = || Command::Hold {
        request,
        reason: "let me look".into(),
    };
    let resume = || Command::Resume {
        request,
        reason: "looked".into(),
    };
    let note = |text: &str| Command::AddNote {
        request,
        text: text.into(),
    };
    assert_eq!(
        world.when(by(DAN), hold()),
        "refused role-required this needs the role approver in production"
    );
    assert_eq!(world.when(by(ANA), hold()), "request.held");
    assert_eq!(
        world.when(by(OPAL), hold()),
        "nothing",
        "on call may stop it too"
    );
    let approve = world.approve_signed(BEN, request);
    assert!(
        world
            .when(by(BEN), approve)
            .starts_with("refused conflict the request is held")
    );
    assert_eq!(
        world.when(by(OPAL), resume()),
        "refused separation-of-duties requester-never-counts",
        "who asked does not let it go on"
    );
    assert_eq!(
        world.when(by(ANA), note("which table?")),
        "request.note_added"
    );
    assert_eq!(world.when(by(OPAL), note("orders")), "request.note_added");
    assert_eq!(
        world.when(by(DAN), note("hm")),
        "refused role-required this needs the role approver in production"
    );
    let notes = &world.state.requests[&request].notes;
    assert_eq!(
        notes.iter().map(|note| note.answer).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(world.when(by(BEN), resume()), "request.resumed");
    assert_eq!(changed(&mut world, BEN, request, |_| {}), GIVEN);
    world.given(by(ANA), hold());
    world.pass(Duration::hours(5));
    assert_eq!(world.sweep(), "request.expired", "expiry is a no");
}

/// Policy lets the requester break the glass; two of security must look within an hour.
fn emergency() -> Box<Evaluation> {
    Box::new(Evaluation {
        quorum: None,
        review: Some(Review {
            quorum: Quorum {
                count: 2,
                groups: vec!["security".into()],
            },
            within_s: 3_600,
        }),
        max_ttl_s: 900,
        ..signed_evaluation_allowed()
    })
}

fn signed_evaluation_allowed() -> Evaluation {
    Evaluation {
        step_up: StepUp::SshSignature,
        ..evaluation(Outcome::Allow, 0)
    }
}

/// An emergency whose secret was made and taken.
fn broken(world: &mut World) -> RequestId {
    world.enrol_key(OPAL);
    let request = asked(world);
    let reason = "the site is down";
    let checked = world.signed(OPAL, request, Decision::BreakGlass, reason);
    let command = Command::BreakGlass {
        request,
        reason: reason.into(),
        evaluation: emergency(),
        checked: Some(Box::new(checked)),
    };
    assert_eq!(
        world.when(by(OPAL), command),
        "request.glass_broken request.approved"
    );
    let start = world.start(request);
    world.given(BROKER, start);
    let minted = world.minted(request, &[]);
    world.given(BROKER, minted);
    world.given(by(OPAL), Command::Claim { request });
    request
}

#[test]
fn the_glass_is_broken_by_who_asked_signed_and_only_as_policy_lets() {
    let mut world = World::new();
    world.enrol_key(OPAL);
    let request = asked(&mut world);
    let reason = "the site is down";
    let command = |world: &World, who, evaluation, checked: Option<Checked>| {
        let signed = world.signed(who, request, Decision::BreakGlass, reason);
        Command::BreakGlass {
            request,
            reason: reason.into(),
            evaluation,
            checked: Some(Box::new(checked.unwrap_or(signed))),
        }
    };
    let others = command(&world, ANA, emergency(), None);
    assert_eq!(
        world.when(by(ANA), others),
        "refused separation-of-duties own-request"
    );
    let denied = command(&world, OPAL, Box::new(evaluation(Outcome::Deny, 0)), None);
    assert_eq!(
        world.when(by(OPAL), denied),
        "refused separation-of-duties break-glass"
    );
    let unsigned = Command::BreakGlass {
        request,
        reason: reason.into(),
        evaluation: emergency(),
        checked: None,
    };
    assert_eq!(
        world.when(by(OPAL), unsigned),
        "refused separation-of-duties signature-needed"
    );
    let as_approval = world.signed(OPAL, request, Decision::Approve, reason);
    let replayed = command(&world, OPAL, emergency(), Some(as_approval));
    assert!(
        world
            .when(by(OPAL), replayed)
            .starts_with("refused conflict what was signed is about another decision")
    );
}

#[test]
fn an_emergency_is_short_and_ends_unless_others_sign_for_it() {
    let mut world = World::new();
    let request = broken(&mut world);
    let held = &world.state.requests[&request];
    let (credential, number) = held.issued.unwrap();
    assert_eq!(held.granted_ttl_s(), 900);
    assert!(
        world.state.awaiting.contains(&request),
        "it is in the queue"
    );
    world.pass(Duration::seconds(3_601));
    // The version has run out before the review has; both are told.
    assert!(world.sweep().contains("review.failed"), "nobody looked");
    assert_eq!(
        world.version_states(credential)[number as usize - 1],
        VersionState::Expired
    );
    assert!(!world.state.awaiting.contains(&request));
}

#[test]
fn others_close_the_review_or_withdraw_what_was_issued() {
    let mut world = World::new();
    let request = broken(&mut world);
    let own = world.approve_signed(OPAL, request);
    assert_eq!(
        world.when(by(OPAL), own),
        "refused separation-of-duties requester-never-counts"
    );
    assert_eq!(changed(&mut world, ANA, request, |_| {}), GIVEN);
    assert_eq!(
        changed(&mut world, BEN, request, |_| {}),
        "approval.given review.closed"
    );
    assert_eq!(world.request_state(request), RequestState::Claimed);

    let mut world = World::new();
    let request = broken(&mut world);
    let (credential, _) = world.state.requests[&request].issued.unwrap();
    let deny = Command::Deny {
        request,
        digest: world.state.requests[&request].digest,
        reason: "that was no emergency".into(),
        revocation: RevocationId::from_bits(9),
        checked: None,
        unsigned: true,
    };
    assert_eq!(
        world.when(by(ANA), deny),
        "review.failed revocation.effective"
    );
    assert_eq!(world.version_states(credential), [VersionState::Revoked]);
}
