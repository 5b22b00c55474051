//! What is done about rotations in a random history.

use crate::{
    histories::History,
    steps::{Step, What, pick},
    world::*,
};
use chrono::Duration;
use countersign::{
    domain::{
        Actor, Command, MintedVersion, RevocationId, Role, Rotation, RotationCause, RotationId,
        RotationState, decide::may_take,
    },
    secret::digest_of_bytes,
};
use std::{collections::BTreeMap, sync::Arc};

impl History {
    fn a_rotation(&self, step: &Step, wanted: &[RotationState]) -> Option<Arc<Rotation>> {
        let all = self.world.state.rotations.all.values();
        let found = if step.anyone {
            pick(all, step.which)
        } else {
            pick(all.filter(|held| wanted.contains(&held.state)), step.which)
        };
        found.cloned()
    }

    pub fn rotation(&mut self, step: &Step) -> Option<(Actor, Command)> {
        match step.what {
            What::Rules => {
                let rules = Box::new(rotation_rules(1 + u32::from(step.how % 2)));
                Some((self.broker(step)?, Command::SetRotationRules(rules)))
            }
            What::GoOn => {
                let what = self.next_step(step)?;
                self.rotation(&Step {
                    what,
                    ..step.clone()
                })
            }
            What::Rotate | What::RotateGroup | What::RotateDue => self.begin(step),
            What::StartMinting | What::RotationMinted | What::MintingFailed => self.minting(step),
            What::StartCheck | What::Checked | What::CheckFailed => self.check(step),
            _ => self.go_on(step),
        }
    }

    /// What comes next for one of those that run.
    fn next_step(&self, step: &Step) -> Option<What> {
        let rotations = &self.world.state.rotations;
        let running = rotations.running.values().map(|id| &rotations.all[id]);
        let held = pick(running, step.which)?;
        let credential = &self.world.state.credentials[&held.credential];
        Some(match held.state {
            _ if held.out_of_step(credential) => What::Settle,
            RotationState::Due => What::StartMinting,
            RotationState::Minting if step.how % 5 == 0 => What::MintingFailed,
            RotationState::Minting => What::RotationMinted,
            RotationState::Warm => What::StartCheck,
            RotationState::Checking if held.checked_at.is_none() => What::Checked,
            RotationState::Checking if step.how % 4 == 0 => What::Promote,
            RotationState::Checking if step.how % 2 == 0 => What::HandedOver,
            RotationState::Checking => What::ClaimRotated,
            _ if held.going_back.is_some() && !held.is_back() => What::PutBack,
            _ if step.how % 3 == 0 => What::RollBack,
            _ => What::EndOverlap,
        })
    }

    fn begin(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let cause = match step.how % 8 {
            0 => RotationCause::Schedule,
            1 | 2 => RotationCause::Compromise,
            _ => RotationCause::Operator,
        };
        let reason = String::from("because");
        let id = RotationId::from_bits(self.world.fresh());
        if step.what == What::RotateDue {
            return Some((self.broker(step)?, Command::RotateDue { ids: vec![id] }));
        }
        let who = self.holder(step, &[Role::Operator, Role::Admin])?;
        if step.what == What::RotateGroup {
            let some: Vec<_> = (self.world.state.credentials.keys().copied())
                .skip(usize::from(step.which % 3))
                .take(1 + usize::from(step.how % 4))
                .collect();
            let members = some
                .into_iter()
                .map(|credential| (RotationId::from_bits(self.world.fresh()), credential))
                .collect();
            let command = Command::RotateGroup {
                members,
                cause,
                reason,
            };
            return Some((who, command));
        }
        let state = &self.world.state;
        let free = state
            .credentials
            .values()
            .filter(|held| held.revoked.is_none() && state.rotations.of(held.id).is_none());
        let credential = pick(free.map(|held| held.id), step.which)?;
        let command = Command::Rotate {
            id,
            credential,
            cause,
            reason,
        };
        Some((who, command))
    }

    fn minting(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let wanted = if step.what == What::StartMinting {
            RotationState::Due
        } else {
            RotationState::Minting
        };
        let held = self.a_rotation(step, &[wanted])?;
        let rotation = held.id;
        let who = self.broker(step)?;
        // Now and then a message that comes too early or too late.
        let attempt = match step.how % 12 {
            0 => held.attempts.saturating_sub(1),
            1 => held.attempts + 2,
            _ => held.attempts + u32::from(step.what == What::StartMinting),
        };
        let lease = if step.how % 2 == 0 {
            pairs(&[("lease", "l/2")])
        } else {
            BTreeMap::new()
        };
        let fresh = self.world.fresh();
        let command = match step.what {
            What::StartMinting => Command::StartMinting {
                rotation,
                attempt,
                locator: lease,
            },
            What::RotationMinted => {
                let ends = self.world.now + Duration::seconds(i64::from(step.which) * 30);
                Command::RecordRotationMinted {
                    rotation,
                    attempt,
                    minted: Box::new(MintedVersion {
                        digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                        locator: lease,
                        expires_at: (step.how % 5 == 0).then_some(ends),
                        warnings: Vec::new(),
                    }),
                }
            }
            _ => Command::RecordMintingFailed {
                rotation,
                attempt,
                reason: "the issuer is away".into(),
                last: step.how % 3 == 0,
                revocation: RevocationId::from_bits(fresh),
            },
        };
        Some((who, command))
    }

    fn check(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RotationState::*;
        let wanted = match step.what {
            What::StartCheck => &[Warm][..],
            What::Checked => &[Checking],
            _ => &[Checking, Overlapping],
        };
        let rotation = self.a_rotation(step, wanted)?.id;
        let command = match step.what {
            What::StartCheck => Command::StartCheck {
                rotation,
                by: "keys".into(),
            },
            What::Checked => Command::RecordChecked {
                rotation,
                seen: "accepted".into(),
            },
            _ => Command::RecordCheckFailed {
                rotation,
                reason: "403".into(),
                revocation: RevocationId::from_bits(self.world.fresh()),
            },
        };
        Some((self.broker(step)?, command))
    }

    fn go_on(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RotationState::*;
        let wanted = match step.what {
            What::ClaimRotated if step.how % 8 == 0 => &[Completed, Overlapping][..],
            What::ClaimRotated | What::HandedOver | What::Promote => &[Checking],
            What::RollBack => &[Due, Minting, Warm, Checking, Overlapping],
            What::PutBack | What::EndOverlap => &[Overlapping],
            _ => &[Due, Minting, Warm, Checking, Overlapping],
        };
        let held = match step.what {
            What::Settle if !step.anyone => {
                let state = &self.world.state;
                let adrift = state.rotations.to_do.iter().filter_map(|id| {
                    let held = state.rotations.all.get(id)?;
                    held.out_of_step(&state.credentials[&held.credential])
                        .then(|| Arc::clone(held))
                });
                pick(adrift, step.which)?
            }
            _ => self.a_rotation(step, wanted)?,
        };
        let (rotation, credential) = (held.id, held.credential);
        let revocation = RevocationId::from_bits(self.world.fresh());
        let reason = String::from("because");
        let on_call = self.holder(step, &[Role::Operator, Role::Admin]);
        Some(match step.what {
            What::ClaimRotated => {
                let state = &self.world.state;
                let of = &state.credentials[&credential];
                let who = self.someone(step, |someone| may_take(state, of, someone).is_ok())?;
                (who, Command::ClaimRotated { rotation })
            }
            What::HandedOver => {
                let to = String::from("kv/payments");
                (
                    self.broker(step)?,
                    Command::RecordDelivered { rotation, to },
                )
            }
            What::Promote => (on_call?, Command::Promote { credential }),
            What::RollBack => {
                let command = Command::RollBack {
                    credential,
                    reason,
                    revocation,
                };
                (on_call?, command)
            }
            What::PutBack => {
                let place = if step.how % 4 == 0 { "" } else { "kv/payments" };
                let command = Command::RecordPutBack {
                    rotation,
                    to: place.into(),
                    revocation,
                };
                (self.broker(step)?, command)
            }
            What::EndOverlap => {
                let ago = Duration::minutes(i64::from(step.how));
                let command = Command::EndOverlap {
                    rotation,
                    last_used_at: (step.how % 2 == 0).then(|| self.world.now - ago),
                    revocation,
                };
                (self.broker(step)?, command)
            }
            _ => {
                let command = Command::SettleRotation {
                    rotation,
                    revocation,
                };
                (self.broker(step)?, command)
            }
        })
    }
}
