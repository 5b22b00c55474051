//! Access review: who may say that a credential is still needed, and until when somebody must.

use crate::world::*;
use chrono::Duration;
use countersign::domain::{
    Actor, Command, CredentialId, OperatorId, Refusal, ReviewState, Tier,
    review::{Cadence, EveryTier},
};
use countersign::policy::Bundle;

fn confirm(who: Actor, credential: CredentialId) -> (Actor, Command) {
    let reason = "the nightly report reads it".into();
    (who, Command::Confirm { credential, reason })
}

fn by_whom(world: &mut World, who: OperatorId) -> (Actor, Command) {
    let credential = world.claimed(OPAL, "payments/api", &[]);
    confirm(by(who), credential)
}

/// A credential of this tier that never ends.
fn endless(world: &mut World, tier: Tier) -> CredentialId {
    let mut held = adopted(world, "payments/endless");
    held.tier = tier;
    held.versions[0].expires_at = None;
    let id = held.id;
    world.given(by(ROOT), Command::Adopt(Box::new(held)));
    id
}

#[test]
fn who_may_confirm() {
    table(&[
        (
            "who is on call",
            |w| by_whom(w, OPAL),
            "credential.confirmed",
        ),
        ("an admin", |w| by_whom(w, ROOT), "credential.confirmed"),
        (
            "the team that owns it",
            |w| by_whom(w, CY),
            "credential.confirmed",
        ),
        (
            "not another team",
            |w| by_whom(w, ANA),
            "refused role-required",
        ),
        (
            "not somebody of elsewhere",
            |w| by_whom(w, ADA),
            "refused role-required",
        ),
        (
            "not a robot, whatever it holds",
            |w| by_whom(w, ROBO),
            "refused separation-of-duties person-needed",
        ),
        (
            "not a part of the broker",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                confirm(BROKER, credential)
            },
            "refused separation-of-duties person-needed",
        ),
        (
            "it says why",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                let reason = String::new();
                (by(OPAL), Command::Confirm { credential, reason })
            },
            "refused invalid /reason",
        ),
        (
            "what is quarantined is still somebody's",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                let reason = "odd".into();
                w.given(by(OPAL), Command::Quarantine { credential, reason });
                confirm(by(OPAL), credential)
            },
            "credential.confirmed",
        ),
        (
            "not what has ended",
            |w| {
                let credential = w.claimed(OPAL, "payments/api", &[]);
                let revoke = w.revoke(credential, None);
                w.given(by(OPAL), revoke);
                confirm(by(OPAL), credential)
            },
            "refused conflict payments/api has ended",
        ),
        (
            "nor what there is not",
            |_| confirm(by(OPAL), CredentialId::from_bits(77)),
            "refused not-found",
        ),
    ]);
}

#[test]
fn a_member_of_the_team_who_holds_no_role_there_confirms_nothing() {
    let mut world = World::new();
    let someone = operator(person(60), "pat", &[], &[], &["payments"]);
    world.given(by(ROOT), Command::EnrolOperator(Box::new(someone)));
    let (actor, command) = by_whom(&mut world, person(60));
    assert!(
        world
            .when(actor, command)
            .starts_with("refused role-required")
    );
}

#[test]
fn a_review_is_due_by_tier_and_starts_again_when_it_is_confirmed() {
    // What the shipped policy says is what holds where a policy says nothing.
    let shipped = Bundle::shipped().reviews();
    assert_eq!(shipped, Cadence::default());
    let monthly = Cadence {
        every_s: EveryTier {
            low: 30 * 86_400,
            ..shipped.every_s
        },
        notice_s: 0,
    };
    for (tier, days, rules) in [
        (Tier::Low, 180, shipped),
        (Tier::Elevated, 180, shipped),
        (Tier::High, 90, shipped),
        (Tier::Critical, 90, shipped),
        (Tier::Low, 30, monthly),
        (Tier::Elevated, 180, monthly),
    ] {
        let (cadence, notice) = (
            Duration::days(days),
            Duration::seconds(rules.notice_s.cast_signed()),
        );
        let mut world = World::new();
        let id = endless(&mut world, tier);
        let begun = world.now;
        let state = |world: &World| world.state.credentials[&id].review(&rules, world.now);
        let moment = Duration::milliseconds(1);
        world.now = begun + cadence - notice - moment;
        assert_eq!(state(&world), Some(ReviewState::Confirmed), "{tier}");
        world.pass(moment);
        if !notice.is_zero() {
            assert_eq!(state(&world), Some(ReviewState::Due), "{tier}");
        }
        world.now = begun + cadence;
        assert_eq!(state(&world), Some(ReviewState::Overdue), "{tier}");
        let (actor, command) = confirm(by(CY), id);
        world.given(actor, command);
        assert_eq!(state(&world), Some(ReviewState::Confirmed), "{tier}");
        let held = &world.state.credentials[&id];
        assert_eq!(held.review_due_at(&rules), world.now + cadence);
        let confirmed = held.confirmed.as_deref().expect("it was");
        assert_eq!(confirmed.by, "cy");
        assert_eq!(confirmed.at, world.now);
        let revoke = world.revoke(id, None);
        world.given(by(OPAL), revoke);
        assert_eq!(state(&world), None, "what has ended is nobody's to review");
    }
}

#[test]
fn who_confirms_has_seen_what_it_is_now() {
    let mut world = World::new();
    let id = endless(&mut world, Tier::High);
    let seen = world.state.credentials[&id].sequence;
    let reason = String::from("reorganised");
    let owner = String::from("treasury");
    let moved = Command::ChangeOwner {
        credential: id,
        owner,
        reason,
    };
    world.given(by(ROOT), moved);
    let (actor, command) = confirm(by(OPAL), id);
    let mut context = world.context(actor);
    context.if_match = Some(seen);
    let refused = world.try_with(&context, &command);
    assert!(matches!(refused, Err(Refusal::Stale { .. })), "{refused:?}");
    context.if_match = Some(world.state.credentials[&id].sequence);
    world
        .try_with(&context, &command)
        .expect("it is as it was seen");
}
