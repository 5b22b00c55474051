//! How a policy comes in force, and what that does to what waits.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Checked, Command, Decision, OperatorId, PolicyStatement, ProposalId, ProposalState, Quorum,
    Role, State, StepUp, request::Outcome,
};
use std::collections::{BTreeMap, BTreeSet};

const PROPOSED: &str = "policy.proposed";
const GIVEN: &str = "policy.approval_given";
const IN_FORCE: &str = "policy.approval_given policy.in_force";

fn proposed(world: &mut World) -> ProposalId {
    let base = world.state.policy_version();
    let command = world.proposal(base, 2);
    let Command::ProposePolicy { id, .. } = command else {
        unreachable!()
    };
    assert_eq!(world.when(by(OPAL), command), PROPOSED);
    id
}

fn in_force(world: &mut World) -> ProposalId {
    let id = proposed(world);
    let first = world.approve_policy(id);
    assert_eq!(world.when(by(ANA), first), GIVEN);
    let second = world.approve_policy(id);
    assert_eq!(world.when(by(BEN), second), IN_FORCE);
    id
}

fn state_of(state: &State, id: ProposalId) -> ProposalState {
    state.proposals[&id].state
}

#[test]
fn two_others_put_a_policy_in_force_and_it_counts_up() {
    let mut world = World::new();
    assert_eq!(world.state.policy_version(), 1);
    let first = in_force(&mut world);
    assert_eq!(world.state.policy_version(), 2);
    assert_eq!(world.state.policy_in_force().unwrap().id, first);
    let second = in_force(&mut world);
    assert_eq!(world.state.policy_version(), 3);
    assert_eq!(state_of(&world.state, first), ProposalState::Past);
    assert_eq!(state_of(&world.state, second), ProposalState::InForce);
    assert_eq!(world.state.policy_of_version(2).unwrap().id, first);
}

#[test]
fn who_may_not_propose_and_who_may_not_decide() {
    let mut world = World::new();
    for (who, said) in [
        (DAN, "refused role"),
        (SERVICE, "refused role"),
        (ADA, "refused role"),
    ] {
        let command = world.proposal(1, 2);
        let told = world.when(by(who), command);
        assert!(told.starts_with(said), "{told}");
    }
    let id = proposed(&mut world);
    for (who, rule) in [
        (OPAL, "proposer-never-counts"),
        (ROBO, "people-only"),
        (CY, "group"),
    ] {
        let command = world.approve_policy(id);
        let told = world.when(by(who), command);
        assert!(told.contains(rule), "{told}");
    }
    for who in [DAN, DEV, ROOT] {
        let command = world.approve_policy(id);
        let told = world.when(by(who), command);
        assert!(told.starts_with("refused role"), "{told}");
    }
    let command = world.approve_policy(id);
    world.given(by(ANA), command);
    let again = world.approve_policy(id);
    let told = world.when(by(ANA), again);
    assert!(told.contains("distinct-people"), "{told}");
}

#[test]
fn an_approver_who_left_the_group_no_longer_counts() {
    let mut world = World::new();
    let id = proposed(&mut world);
    let first = world.approve_policy(id);
    world.given(by(ANA), first);
    world.given(
        by(ROOT),
        Command::GrantOperator {
            operator: ANA,
            roles: BTreeMap::from([(PROD, BTreeSet::from([Role::Approver]))]),
            groups: BTreeSet::new(),
        },
    );
    let second = world.approve_policy(id);
    assert_eq!(
        world.when(by(BEN), second),
        GIVEN,
        "one of two still counts"
    );
    assert_eq!(world.state.policy_version(), 1);
}

#[test]
fn an_approval_is_of_the_text_that_was_seen() {
    let mut world = World::new();
    let id = proposed(&mut world);
    let Command::ApprovePolicy {
        proposal,
        approval,
        reason,
        ..
    } = world.approve_policy(id)
    else {
        unreachable!()
    };
    let command = Command::ApprovePolicy {
        proposal,
        approval,
        reason,
        digest: digest(&plan("another/text")),
        checked: None,
    };
    let told = world.when(by(ANA), command);
    assert!(told.contains("is not what is proposed"), "{told}");
}

#[test]
fn what_was_compared_with_an_older_version_is_over() {
    let mut world = World::new();
    let other = proposed(&mut world);
    let command = world.approve_policy(other);
    world.given(by(ANA), command);
    in_force(&mut world);
    assert_eq!(state_of(&world.state, other), ProposalState::Superseded);
    let command = world.approve_policy(other);
    let told = world.when(by(BEN), command);
    assert!(told.contains("superseded"), "{told}");
    let late = world.proposal(1, 2);
    let told = world.when(by(OPAL), late);
    assert!(
        told.contains("written against version 1, and version 2"),
        "{told}"
    );
}

#[test]
fn one_no_ends_it_its_proposer_takes_it_back_and_time_runs_out() {
    let mut world = World::new();
    let denied = proposed(&mut world);
    let digest = world.state.proposals[&denied].digest;
    let deny = |reason: &str| Command::DenyPolicy {
        proposal: denied,
        digest,
        reason: reason.into(),
        checked: None,
        unsigned: false,
    };
    let told = world.when(by(ANA), deny(" "));
    assert!(told.starts_with("refused invalid"), "{told}");
    assert_eq!(world.when(by(ANA), deny("too wide")), "policy.denied");
    let told = world.when(by(BEN), deny("too wide"));
    assert!(told.contains("nothing to decide"), "{told}");

    let back = proposed(&mut world);
    let withdraw = || Command::WithdrawPolicy {
        proposal: back,
        reason: "a typo".into(),
    };
    let told = world.when(by(ANA), withdraw());
    assert!(told.contains("own-proposal"), "{told}");
    assert_eq!(world.when(by(OPAL), withdraw()), "policy.withdrawn");
    assert_eq!(world.when(by(OPAL), withdraw()), "nothing");

    let late = proposed(&mut world);
    world.pass(Duration::hours(2));
    let command = world.approve_policy(late);
    let told = world.when(by(ANA), command);
    assert!(told.contains("time to decide is over"), "{told}");
    assert_eq!(world.sweep(), "policy.expired");
    assert_eq!(state_of(&world.state, late), ProposalState::Expired);
    assert_eq!(world.sweep(), "nothing");
}

#[test]
fn a_policy_that_names_nobody_cannot_be_changed_and_it_is_its_fault() {
    let mut world = World::new();
    let Command::ProposePolicy {
        id,
        files,
        digest,
        base,
        base_digest,
        reason,
        step_up,
        approval_ttl_s,
        ..
    } = world.proposal(1, 2)
    else {
        unreachable!()
    };
    let command = Command::ProposePolicy {
        id,
        files,
        digest,
        base,
        base_digest,
        reason,
        step_up,
        approval_ttl_s,
        quorum: Quorum {
            count: 2,
            groups: Vec::new(),
        },
    };
    let told = world.when(by(OPAL), command);
    assert!(told.ends_with("no-group"), "{told}");
}

#[test]
fn a_request_that_another_policy_was_asked_about_is_refused() {
    let mut world = World::new();
    let (_, early) = world.submission(plan("payments/api"), evaluation(Outcome::Allow, 0));
    in_force(&mut world);
    let told = world.when(by(OPAL), early);
    assert!(
        told.contains("version 2 of the policy came in force while version 1 was asked"),
        "{told}"
    );
    let (_, now) = world.submission(plan("payments/api"), evaluation(Outcome::Allow, 0));
    assert!(world.when(by(OPAL), now).contains("request.approved"));
}

#[test]
fn what_is_held_and_was_granted_is_counted() {
    let mut world = World::new();
    assert!(world.state.granted.client(CHECKOUT).is_none());
    let credential = world.claimed(OPAL, "payments/api", &[]);
    let scope = world.state.credentials[&credential].scopes[0].clone();
    let held = world.state.granted.client(CHECKOUT).unwrap();
    assert_eq!((held.ever, held.living), (1, 1));
    assert!(held.scopes.contains_key(scope.as_str()));
    let granted = world.state.granted.requester(OPAL).unwrap();
    assert_eq!((granted.issued, granted.scopes[scope.as_str()]), (1, 1));
    let revoke = world.revoke(credential, None);
    world.given(by(ROOT), revoke);
    let held = world.state.granted.client(CHECKOUT).unwrap();
    assert_eq!((held.ever, held.living), (1, 0));
    assert!(held.scopes.is_empty());
    assert_eq!(world.state.granted.requester(OPAL).unwrap().issued, 1);
}

/// A proposal that wants signatures of two, who had their keys before it.
fn proposed_to_sign(world: &mut World) -> ProposalId {
    for who in [ANA, BEN] {
        if world.state.operators[&who].ssh_keys().next().is_none() {
            world.enrol_key(who);
        }
    }
    world.pass(Duration::seconds(1));
    let mut command = world.proposal(world.state.policy_version(), 2);
    let Command::ProposePolicy { id, step_up, .. } = &mut command else {
        unreachable!()
    };
    *step_up = StepUp::SshSignature;
    let id = *id;
    world.given(by(OPAL), command);
    id
}

/// The signed approval of `who`, with what was signed changed by `change`.
fn signed(
    world: &mut World,
    who: OperatorId,
    proposal: ProposalId,
    change: impl FnOnce(&mut Checked<PolicyStatement>),
) -> String {
    let mut statement = world.signed_policy(who, proposal, Decision::Approve, "looks right");
    change(&mut statement);
    let mut command = world.approve_policy(proposal);
    if let Command::ApprovePolicy { checked, .. } = &mut command {
        *checked = Some(Box::new(statement));
    }
    world.when(by(who), command)
}

#[test]
fn a_policy_is_put_in_force_by_two_signatures_about_it_and_nothing_else() {
    let mut world = World::new();
    let other = proposed_to_sign(&mut world);
    let id = proposed_to_sign(&mut world);
    let unsigned = world.approve_policy(id);
    assert_eq!(
        world.when(by(ANA), unsigned),
        "refused separation-of-duties signature-needed"
    );
    type Change = fn(&mut Checked<PolicyStatement>);
    let changes: [(&str, Change); 9] = [
        ("form", |c| c.statement.form = "urn:other".into()),
        ("text", |c| c.statement.proposal.digest = digest(&plan("x"))),
        ("version", |c| c.statement.proposal.version += 1),
        ("policy in force", |c| c.statement.base.version = "0".into()),
        ("policy in force", |c| {
            c.statement.base.digest = digest(&plan("x"));
        }),
        ("decision", |c| c.statement.decision = Decision::Deny),
        ("person", |c| c.statement.approver.principal = "ben".into()),
        ("key", |c| c.statement.approver.key = "SHA256:9".into()),
        ("reason", |c| c.statement.reason = "other".into()),
    ];
    for (what, change) in changes {
        let told = signed(&mut world, ANA, id, change);
        let about = format!("refused conflict what was signed is about another {what}");
        assert!(told.starts_with(&about), "{what}: {told}");
    }
    let told = signed(&mut world, ANA, id, |c| c.statement.proposal.id = other);
    assert!(told.contains("about another proposal"), "{told}");
    assert!(world.state.proposals[&id].approvals.is_empty());

    assert_eq!(signed(&mut world, ANA, id, |_| {}), GIVEN);
    let told = signed(&mut world, BEN, id, |checked| {
        let key = format!("SHA256:{}", ANA.bits());
        checked.statement.approver.key.clone_from(&key);
        checked.signed.fingerprint = key;
        checked.signed.certificate = true;
    });
    assert_eq!(told, "refused separation-of-duties distinct-keys");
    assert_eq!(signed(&mut world, BEN, id, |_| {}), IN_FORCE);
    // What was signed about a text that was compared with the one before is over with it.
    let told = signed(&mut world, ANA, other, |_| {});
    assert!(told.contains("superseded"), "{told}");
}

#[test]
fn a_removed_key_takes_its_approval_of_a_policy_with_it_and_another_key_gives_it_again() {
    let mut world = World::new();
    let id = proposed_to_sign(&mut world);
    assert_eq!(signed(&mut world, ANA, id, |_| {}), GIVEN);
    let remove = Command::RemoveKey {
        operator: ANA,
        fingerprint: format!("SHA256:{}", ANA.bits()),
        reason: "lost".into(),
    };
    assert_eq!(
        world.when(by(ROOT), remove),
        "operator.key_removed policy.approval_voided"
    );
    assert_eq!(
        signed(&mut world, BEN, id, |_| {}),
        GIVEN,
        "one of two counts"
    );
    assert_eq!(state_of(&world.state, id), ProposalState::AwaitingApproval);
    let with_certificate = |checked: &mut Checked<PolicyStatement>| {
        checked.signed.certificate = true;
    };
    assert_eq!(signed(&mut world, ANA, id, with_certificate), IN_FORCE);
}

#[test]
fn a_policy_is_denied_by_a_signature_or_unsigned_in_so_many_words() {
    let mut world = World::new();
    let deny = |world: &World, id, signs, unsigned| Command::DenyPolicy {
        proposal: id,
        digest: world.state.proposals[&id].digest,
        reason: "too wide".into(),
        checked: signs,
        unsigned,
    };
    let id = proposed_to_sign(&mut world);
    let silent = deny(&world, id, None, false);
    assert_eq!(
        world.when(by(ANA), silent),
        "refused separation-of-duties signature-needed"
    );
    let approval = world.signed_policy(ANA, id, Decision::Approve, "too wide");
    let turned = deny(&world, id, Some(Box::new(approval)), false);
    let told = world.when(by(ANA), turned);
    assert!(told.contains("about another decision"), "{told}");
    let checked = world.signed_policy(ANA, id, Decision::Deny, "too wide");
    let honest = deny(&world, id, Some(Box::new(checked)), false);
    assert_eq!(world.when(by(ANA), honest), "policy.denied");
    let ending = world.state.proposals[&id].ended_by.clone().unwrap();
    assert!(matches!(
        ending.proof,
        Some(countersign::domain::Proof::SshSignature(_))
    ));

    let id = proposed_to_sign(&mut world);
    let unsigned = deny(&world, id, None, true);
    assert_eq!(world.when(by(ANA), unsigned), "policy.denied");
    let ending = world.state.proposals[&id].ended_by.clone().unwrap();
    assert!(matches!(
        ending.proof,
        Some(countersign::domain::Proof::Token { .. })
    ));
}
