//! Rotations of the weeks before: most went well, some overlap as the console opens, and some went wrong.

use super::{Line, script::Author};
use crate::{
    broker::engine::{Engine, fresh_bits},
    domain::{
        Command, CredentialId, MintedVersion, OperatorId, RevocationId, RotationCause, RotationId,
    },
    secret::{digest_of, mint_token},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// How many are told of.
const ROTATIONS: usize = 48;

/// How far one comes, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tale {
    /// The older version is gone.
    Completed,
    /// Both are accepted as the console opens.
    Overlapping,
    /// Its newer version waits for whoever uses it.
    Waiting,
    /// The check said no.
    CheckFailed,
    /// Somebody went back.
    RolledBack,
    /// The issuer did not make it.
    Failed,
}

/// The order in which they come, over and over.
const TALES: [Tale; 12] = [
    Tale::Completed,
    Tale::Overlapping,
    Tale::Completed,
    Tale::Completed,
    Tale::Waiting,
    Tale::Completed,
    Tale::CheckFailed,
    Tale::Completed,
    Tale::Overlapping,
    Tale::RolledBack,
    Tale::Completed,
    Tale::Failed,
];

impl Author<'_> {
    /// Rotations of what services hold, under the table of the policy that ships.
    pub(super) fn rotations(&mut self, engine: &Engine) {
        let rules = engine
            .policies()
            .rotation(&engine.state(), engine.issuers());
        let Some(rules) = rules else {
            return;
        };
        let set = Command::SetRotationRules(Box::new(rules));
        self.script.push((self.start, Line::Follow(vec![set])));
        let now = self.now;
        // What lives long enough to overlap with its successor.
        let lasting: Vec<_> = (self.held.iter().copied())
            .filter(|(_, _, since, ends)| {
                *since < now - TimeDelta::hours(60) && *ends > now + TimeDelta::days(2)
            })
            .take(ROTATIONS)
            .collect();
        for (turn, (credential, asker, since, _)) in lasting.into_iter().enumerate() {
            self.rotation(TALES[turn % TALES.len()], credential, asker, since);
        }
    }

    fn rotation(
        &mut self,
        tale: Tale,
        credential: CredentialId,
        asker: OperatorId,
        since: DateTime<Utc>,
    ) {
        let ago = match tale {
            Tale::Overlapping | Tale::Waiting => {
                TimeDelta::minutes(self.variety.between(25, 20 * 60) as i64)
            }
            _ => {
                let most = (self.now - since)
                    .num_minutes()
                    .max(55 * 60 + 1)
                    .cast_unsigned();
                TimeDelta::minutes(self.variety.between(55 * 60, most) as i64)
            }
        };
        let at = (self.now - ago).max(since + TimeDelta::minutes(1));
        let rotation = RotationId::from_bits(fresh_bits(at));
        let by = self.people[["ravi.p", "maya.k"][self.variety.below(2) as usize]];
        let (cause, reason) = match self.variety.below(4) {
            0 => (
                RotationCause::Offboarding,
                "somebody who had it left the team",
            ),
            1 => (RotationCause::Compromise, "it was in a ticket"),
            _ => (
                RotationCause::Operator,
                "ahead of its cadence, for the release",
            ),
        };
        let begin = Command::Rotate {
            id: rotation,
            credential,
            cause,
            reason: reason.into(),
        };
        self.act(at, by, begin);
        let seconds = |count| at + TimeDelta::seconds(count);
        let fresh = |at| RevocationId::from_bits(fresh_bits(at));
        self.broker(seconds(1), vec![start(rotation)]);
        if tale == Tale::Failed {
            let failed = Command::RecordMintingFailed {
                rotation,
                attempt: 1,
                reason: "the database behind it refused: too many roles".into(),
                last: true,
                revocation: fresh(at),
            };
            return self.broker(seconds(9), vec![failed]);
        }
        let by_issuer = String::from("countersign");
        let check = Command::StartCheck {
            rotation,
            by: by_issuer,
        };
        self.broker(seconds(2), vec![made(rotation), check]);
        if tale == Tale::CheckFailed {
            let failed = Command::RecordCheckFailed {
                rotation,
                reason: "403 from https://orders.example with the newer version, 9 times".into(),
                revocation: fresh(at),
            };
            return self.broker(seconds(8), vec![failed]);
        }
        let checked = Command::RecordChecked {
            rotation,
            seen: "accepted here".into(),
        };
        self.broker(seconds(3), vec![checked]);
        if tale == Tale::Waiting {
            return;
        }
        let taken = seconds(self.variety.between(20, 1_200) as i64);
        self.act(taken, asker, Command::ClaimRotated { rotation });
        let ends = taken + TimeDelta::hours(self.variety.between(26, 50) as i64);
        match tale {
            Tale::Completed => {
                let over = Command::EndOverlap {
                    rotation,
                    last_used_at: None,
                    revocation: fresh(ends),
                };
                self.broker(ends, vec![over]);
            }
            Tale::RolledBack => {
                let back = Command::RollBack {
                    credential,
                    reason: "recon-eu has the older one compiled in".into(),
                    revocation: fresh(taken),
                };
                self.act(taken + TimeDelta::minutes(8), by, back);
            }
            _ => {}
        }
    }

    fn broker(&mut self, at: DateTime<Utc>, commands: Vec<Command>) {
        self.script.push((at, Line::Follow(commands)));
    }
}

fn start(rotation: RotationId) -> Command {
    Command::StartMinting {
        rotation,
        attempt: 1,
        locator: BTreeMap::new(),
    }
}

fn made(rotation: RotationId) -> Command {
    Command::RecordRotationMinted {
        rotation,
        attempt: 1,
        minted: Box::new(MintedVersion {
            digest: Some(digest_of(mint_token("demo").expose())),
            locator: BTreeMap::new(),
            expires_at: None,
            warnings: Vec::new(),
        }),
    }
}
