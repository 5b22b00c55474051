//! Keys that sign tokens, and where tokens stand: published before use and until nothing is left; each place once; what
//! a place says of its token.

use crate::{
    histories::History,
    steps::{Step, pick},
    world::{BROKER, OPAL, ROOT, World, by},
};
use chrono::Duration;
use countersign::domain::{
    Actor, Algorithm, Command, CredentialId, Enforcement, NewTokenKey, Purpose, State,
    token_key::{KEPT_AFTER, SKEW, StatusList, TokenStatus, place},
};
use std::collections::{BTreeMap, BTreeSet};

fn key(world: &World, kid: &str, ahead: Duration) -> Command {
    Command::PublishTokenKey(Box::new(NewTokenKey {
        kid: kid.into(),
        purpose: Purpose::Tokens,
        algorithm: Algorithm::Es256,
        public: BTreeMap::from([("kty".to_owned(), "EC".to_owned())]),
        use_from: world.now + ahead,
    }))
}

fn sign_with(kid: &str) -> Command {
    Command::UseTokenKey { kid: kid.into() }
}

fn withdraw(kid: &str) -> Command {
    Command::WithdrawTokenKey { kid: kid.into() }
}

/// Where a token signed by `kid` says that it stands.
fn standing<'a>(kid: &'a str, index: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (place::TOKEN, "j"),
        (place::KEY, kid),
        (place::LIST, "es256/1"),
        (place::INDEX, index),
    ]
}

fn list() -> StatusList {
    "es256/1".parse().unwrap()
}

/// A world in which `k1` signs.
fn signing() -> World {
    let mut world = World::new();
    let publish = key(&world, "k1", Duration::zero());
    assert_eq!(world.when(BROKER, publish), "token_key.published");
    assert_eq!(world.when(BROKER, sign_with("k1")), "token_key.in_use");
    world
}

#[test]
fn a_key_signs_once_readers_know_it_and_stays_until_nothing_is_left() {
    let mut world = signing();
    assert_eq!(world.when(BROKER, sign_with("k1")), "nothing");
    assert!(world.when(BROKER, withdraw("k1")).contains("k1 signs"));
    let token = world.claimed(OPAL, "payments/api", &standing("k1", "7"));
    let end = world.state.credentials[&token].versions[0].expires_at;

    let publish = key(&world, "k2", Duration::hours(1));
    world.given(BROKER, publish.clone());
    assert_eq!(world.when(BROKER, publish), "nothing");
    let early = world.when(BROKER, sign_with("k2"));
    assert!(early.contains("readers may not know it yet"), "{early}");
    world.pass(Duration::hours(1));
    assert_eq!(world.when(BROKER, sign_with("k2")), "token_key.in_use");
    let back = world.when(BROKER, sign_with("k1"));
    assert!(back.contains("has been replaced already"), "{back}");

    // The last token that it signed lives for a day.
    world.pass(KEPT_AFTER);
    let left = world.when(BROKER, withdraw("k1"));
    assert!(left.contains("may be shown until"), "{left}");
    world.now = end.unwrap() + SKEW - Duration::milliseconds(1);
    assert!(world.when(BROKER, withdraw("k1")).contains("may be shown"));
    world.pass(Duration::milliseconds(1));
    assert_eq!(world.when(BROKER, withdraw("k1")), "token_key.withdrawn");
    assert!(!world.state.tokens.keys.contains_key("k1"));
    assert!(world.when(BROKER, withdraw("k1")).contains("k1"));
    for command in [sign_with("k2"), withdraw("k2"), key(&world, "k3", SKEW)] {
        let refused = world.when(by(ROOT), command);
        assert!(
            refused.starts_with("role") || refused.contains("broker"),
            "{refused}"
        );
    }
}

#[test]
fn a_place_is_given_once_and_says_what_became_of_its_token() {
    let mut world = signing();
    let first = world.claimed(OPAL, "payments/api", &standing("k1", "7"));
    let request = world.submit(
        OPAL,
        "payments/web",
        countersign::domain::request::Outcome::Allow,
    );
    let start = world.start(request);
    world.given(BROKER, start);
    for (kid, index, said) in [
        ("k1", "7", "was taken meanwhile"),
        ("k9", "8", "k9 signs nothing"),
        ("k1", "131072", "no place"),
        ("k1", "-1", "no place"),
    ] {
        let minted = world.minted(request, &standing(kid, index));
        let refused = world.when(BROKER, minted);
        assert!(refused.contains(said), "{kid} {index}: {refused}");
    }
    let minted = world.minted(request, &standing("k1", "8"));
    assert_eq!(world.when(BROKER, minted), "version.minted");
    let members: Vec<_> = world
        .state
        .tokens
        .members(list())
        .map(|(index, ..)| index)
        .collect();
    assert_eq!(members, [7, 8]);

    let status = |world: &World| world.state.credentials[&first].token_status(1);
    assert_eq!(status(&world), TokenStatus::Valid);
    let reason = String::from("odd calls");
    let quarantine = Command::Quarantine {
        credential: first,
        reason,
    };
    world.given(by(OPAL), quarantine);
    assert_eq!(status(&world), TokenStatus::Suspended);
    let revoke = world.revoke(first, None);
    world.given(by(OPAL), revoke);
    assert_eq!(status(&world), TokenStatus::Invalid);
    // There is nobody else to tell.
    let revocation = world.state.revocations.values().next().unwrap();
    assert_eq!(revocation.enforcement, Enforcement::NotNeeded);
    assert!(
        world.state.tokens.is_taken(list(), 7),
        "a place is not given again"
    );
}

/// The next thing about keys, in a history.
pub fn key_step(history: &mut History, step: &Step) -> Option<(Actor, Command)> {
    let who = history.broker(step)?;
    let fresh = history.world.fresh();
    let world = &history.world;
    let keys = || world.state.tokens.keys.values();
    // Now and then too early.
    let early = step.how % 16 == 15;
    let over = keys().filter(|key| early || key.over_at().is_some_and(|at| at <= world.now));
    let due = keys().filter(|key| early || key.in_use_since.is_none() && key.use_from <= world.now);
    let over = pick(over.map(|key| key.kid.clone()), step.which);
    let due = pick(due.map(|key| key.kid.clone()), step.which);
    let command = match (over, due) {
        (Some(kid), _) => withdraw(&kid),
        (_, Some(kid)) => sign_with(&kid),
        _ => key(
            world,
            &format!("k{fresh}"),
            Duration::seconds(i64::from(step.how / 4)),
        ),
    };
    Some((who, command))
}

/// Where a token that is made now says that it stands; few places, so that some are taken.
pub fn somewhere(state: &State, step: &Step) -> Option<BTreeMap<String, String>> {
    let key = state.tokens.in_use(Purpose::Tokens, Algorithm::Es256)?;
    let index = step.which.to_string();
    let standing = standing(&key.kid, &index).into_iter();
    Some(
        standing
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

/// What must always be so: one key signs, each place is one token's, and what signed a living token is published.
pub fn check(state: &State) {
    let signs = state.tokens.keys.values().filter(|key| key.in_use());
    assert!(signs.count() <= 1, "two keys of one sort sign");
    let mut places = BTreeMap::<(StatusList, u32), (CredentialId, u32)>::new();
    for credential in state.credentials.values() {
        for version in &credential.versions {
            let Some(standing) = version.standing() else {
                continue;
            };
            let holder = (credential.id, version.number);
            let other = places.insert((standing.list, standing.index), holder);
            assert_eq!(other, None, "two tokens have one place");
            if version.accepted(state.time) {
                let known = state.tokens.keys.contains_key(standing.kid);
                assert!(known, "{} cannot be read any more", credential.name);
            }
        }
    }
    let lists: BTreeSet<_> = places.keys().map(|(list, _)| *list).collect();
    assert_eq!(lists, state.tokens.lists().collect());
    let held = state.tokens.lists().flat_map(|list| {
        let members = state.tokens.members(list);
        members.map(move |(index, credential, version)| ((list, index), (credential, version)))
    });
    assert_eq!(places, held.collect());
}
