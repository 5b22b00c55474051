//! What people, services and the broker's own parts do in a random history. What is drawn are small numbers that pick
//! from what there is at that moment, so that most commands meet something, names collide, and a failing history
//! shrinks to a short one.

use crate::{
    histories::History,
    tokens,
    world::{gateway as gateway_of, *},
};
use chrono::Duration;
use countersign::{
    domain::{
        Actor, ApprovalId, Checked, Client, ClientId, Command, CredentialId, Decision, Environment,
        Evaluation, Facts, GatewayId, MintedVersion, Operator, OperatorId, PolicyStatement,
        Profile, ProposalId, Quorum, RequestId, RequestState, Review, RevocationId, RiskFactor,
        Role, SshKey, StepUp, Token, TokenId,
        decide::{may_decide, may_decide_policy},
        event::UsageEntry,
        operator::Continued,
        request::Outcome,
        state::asking::BURST,
    },
    secret::digest_of_bytes,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that somebody does.
#[derive(Debug, Clone)]
pub struct Step {
    pub what: What,
    /// Picks who does it. Most often somebody who may.
    pub who: u8,
    pub anyone: bool,
    /// Picks the object.
    pub which: u8,
    /// Further choices.
    pub how: u8,
    /// Look at the object as it was before: `If-Match` of a step ago.
    pub stale: bool,
    /// One of a few idempotency keys.
    pub key: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Submit,
    Approve,
    Deny,
    Withdraw,
    Retry,
    Claim,
    StartDelivery,
    Delivered,
    DeliveryFailed,
    DeliverTo,
    Start,
    Minted,
    MintFailed,
    Adopt,
    Quarantine,
    Release,
    Revoke,
    ChangeOwner,
    Confirm,
    Enforced,
    EnforcementFailed,
    Sweep,
    Usage,
    Leftover,
    Pass,
    Grant,
    Enrol,
    CloseAccount,
    IssueToken,
    RevokeToken,
    Onboard,
    Offboard,
    Propose,
    ApprovePolicy,
    DenyPolicy,
    WithdrawPolicy,
    EnrolKey,
    CountersignKey,
    RemoveKey,
    Narrow,
    Hold,
    Resume,
    Note,
    BreakGlass,
    Reevaluate,
    RegisterGateway,
    GatewayToken,
    RemoveGateway,
    Cursor,
    Proven,
    Rules,
    Rotate,
    RotateGroup,
    RotateDue,
    StartMinting,
    RotationMinted,
    MintingFailed,
    StartCheck,
    Checked,
    CheckFailed,
    ClaimRotated,
    HandedOver,
    Promote,
    RollBack,
    PutBack,
    EndOverlap,
    Settle,
    GoOn,
}

/// A fifth of what is done is about rotation.
fn rotation_step() -> impl Strategy<Value = What> {
    use What::*;
    prop_oneof![
        1 => Just(Rules),
        10 => Just(Rotate),
        1 => Just(RotateGroup),
        3 => Just(RotateDue),
        8 => Just(StartMinting),
        8 => Just(RotationMinted),
        2 => Just(MintingFailed),
        6 => Just(StartCheck),
        7 => Just(Checked),
        2 => Just(CheckFailed),
        3 => Just(ClaimRotated),
        3 => Just(HandedOver),
        2 => Just(Promote),
        3 => Just(RollBack),
        2 => Just(PutBack),
        2 => Just(EndOverlap),
        3 => Just(Settle),
        70 => Just(GoOn),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    use What::*;
    let what = prop_oneof![
        14 => Just(Submit),
        16 => Just(Approve),
        2 => Just(Deny),
        2 => Just(Withdraw),
        3 => Just(Retry),
        11 => Just(Claim),
        6 => Just(StartDelivery),
        5 => Just(Delivered),
        2 => Just(DeliveryFailed),
        2 => Just(DeliverTo),
        14 => Just(Start),
        14 => Just(Minted),
        4 => Just(MintFailed),
        3 => Just(Adopt),
        2 => Just(Quarantine),
        2 => Just(Release),
        3 => Just(Revoke),
        1 => Just(ChangeOwner),
        2 => Just(Confirm),
        3 => Just(Enforced),
        2 => Just(EnforcementFailed),
        6 => Just(Sweep),
        1 => Just(Usage),
        1 => Just(Leftover),
        8 => Just(Pass),
        5 => Just(Grant),
        2 => Just(Enrol),
        1 => Just(CloseAccount),
        2 => Just(IssueToken),
        2 => Just(RevokeToken),
        1 => Just(Onboard),
        1 => Just(Offboard),
        2 => Just(Propose),
        5 => Just(ApprovePolicy),
        1 => Just(DenyPolicy),
        1 => Just(WithdrawPolicy),
        3 => Just(EnrolKey),
        1 => Just(CountersignKey),
        1 => Just(RemoveKey),
        4 => Just(Narrow),
        2 => Just(Hold),
        3 => Just(Resume),
        1 => Just(Note),
        5 => Just(BreakGlass),
        4 => Just(Reevaluate),
        1 => Just(RegisterGateway),
        1 => Just(GatewayToken),
        1 => Just(RemoveGateway),
        3 => Just(Cursor),
        1 => Just(Proven),
        80 => rotation_step(),
    ];
    let keys = proptest::option::weighted(0.2, 0..4_u8);
    (
        what,
        any::<u8>(),
        prop::bool::weighted(0.15),
        any::<u8>(),
        any::<u8>(),
        prop::bool::weighted(0.05),
        keys,
    )
        .prop_map(|(what, who, anyone, which, how, stale, key)| Step {
            what,
            who,
            anyone,
            which,
            how,
            stale,
            key,
        })
}

/// The `number`th of what there is, going round.
pub fn pick<T>(list: impl IntoIterator<Item = T>, number: u8) -> Option<T> {
    let mut list: Vec<T> = list.into_iter().collect();
    if list.is_empty() {
        return None;
    }
    let place = usize::from(number) % list.len();
    Some(list.swap_remove(place))
}

impl History {
    /// Most often one of whom `may` holds.
    pub fn someone(&self, step: &Step, may: impl Fn(&Operator) -> bool) -> Option<Actor> {
        let all = self.world.state.operators.values();
        if step.anyone && step.who % 7 == 0 {
            return Some(BROKER);
        }
        let found = if step.anyone {
            pick(all, step.who)
        } else {
            pick(all.filter(|held| may(held)), step.who)
        };
        found.map(|held| by(held.id))
    }

    pub fn holder(&self, step: &Step, roles: &'static [Role]) -> Option<Actor> {
        self.someone(step, |held| held.holds(PROD, roles))
    }

    pub fn broker(&self, step: &Step) -> Option<Actor> {
        if step.anyone {
            self.someone(step, |_| false)
        } else {
            Some(BROKER)
        }
    }

    fn request(&self, step: &Step, wanted: &[RequestState]) -> Option<RequestId> {
        let all = self.world.state.requests.values();
        let found = if step.anyone {
            pick(all, step.which)
        } else {
            pick(all.filter(|held| wanted.contains(&held.state)), step.which)
        };
        found.map(|held| held.id)
    }

    pub fn credential(&self, step: &Step) -> Option<CredentialId> {
        pick(self.world.state.credentials.keys().copied(), step.which)
    }

    pub fn command(&mut self, step: &Step) -> Option<(Actor, Command)> {
        match step.what {
            What::Submit => self.submission(step),
            What::Approve | What::Deny | What::Withdraw | What::Retry | What::Claim => {
                self.decision(step)
            }
            What::Start | What::Minted | What::MintFailed => self.issuance(step),
            What::StartDelivery | What::Delivered | What::DeliveryFailed | What::DeliverTo => {
                self.delivery(step)
            }
            What::Propose | What::ApprovePolicy | What::DenyPolicy | What::WithdrawPolicy => {
                self.policy(step)
            }
            // Keys go on beside whatever else does.
            What::GoOn if step.who % 8 == 7 => tokens::key_step(self, step),
            What::Rules
            | What::Rotate
            | What::RotateGroup
            | What::RotateDue
            | What::StartMinting
            | What::RotationMinted
            | What::MintingFailed
            | What::StartCheck
            | What::Checked
            | What::CheckFailed
            | What::ClaimRotated
            | What::HandedOver
            | What::Promote
            | What::RollBack
            | What::PutBack
            | What::EndOverlap
            | What::Settle
            | What::GoOn => self.rotation(step),
            What::EnrolKey | What::CountersignKey | What::RemoveKey => self.key(step),
            What::RegisterGateway
            | What::GatewayToken
            | What::RemoveGateway
            | What::Cursor
            | What::Proven => self.gateway(step),
            What::Narrow
            | What::Hold
            | What::Resume
            | What::Note
            | What::BreakGlass
            | What::Reevaluate => self.open_request(step),
            What::Grant
            | What::Enrol
            | What::CloseAccount
            | What::IssueToken
            | What::RevokeToken
            | What::Onboard
            | What::Offboard => self.people(step),
            _ => self.upkeep(step),
        }
    }

    /// One of a few names: most often one that can be asked for, and then as often one that exists as one that is new.
    fn name(&self, step: &Step) -> Option<String> {
        let state = &self.world.state;
        let names = (0..12).map(|number| format!("name-{number}"));
        if step.anyone || step.which % 16 == 0 {
            return pick(names, step.which);
        }
        let free: Vec<String> = names
            .filter(|name| {
                let held = state.credential_named(PROD, name);
                let exists = held.is_some();
                state.open_request_for(PROD, name).is_none()
                    && held.is_none_or(|held| held.revoked.is_none())
                    && exists == (step.what == What::Submit && step.how % 2 == 0)
            })
            .collect();
        pick(free, step.which)
    }

    /// A session that a key opens, or that goes on where one is open.
    fn session(&self, step: &Step, someone: OperatorId, fresh: u128) -> Command {
        let now = self.world.now;
        let held = &self.world.state.operators[&someone];
        let open = held.tokens().find(|token| token.key.is_some());
        Command::SignIn {
            operator: someone,
            token: Token {
                created_at: now,
                expires_at: now + Duration::hours(1 + i64::from(step.which % 14)),
                key: Some("SHA256:certified".into()),
                continues: open.map(|open| Continued {
                    session: open.id,
                    signed_in_at: open.signed_in_at(),
                }),
                ..token(fresh)
            },
        }
    }

    fn submission(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let who = self.someone(step, |held| {
            held.holds(PROD, &[Role::Operator, Role::Admin])
                || held.holds(PROD, &[Role::Requester]) && held.client.is_some()
        })?;
        let outcome = match step.how % 8 {
            0 => Outcome::Deny,
            1..4 => Outcome::Allow,
            _ => Outcome::Needs,
        };
        let mut asked = plan(&self.name(step)?);
        asked.client = if step.which % 41 == 0 {
            LEDGER
        } else {
            CHECKOUT
        };
        // Most often what its name has, or had better have from the start.
        let held = self.world.state.credential_named(PROD, &asked.credential);
        asked.destination = match held {
            Some(held) if step.how % 16 > 0 => held.destination.as_deref().cloned(),
            _ => (step.which % 5 < 2).then(|| destination(step.how)),
        };
        asked.ttl_s = if step.which % 3 == 0 { 600 } else { 86_400 };
        if step.which % 43 == 0 {
            asked.scopes.push("orders:write".into());
        }
        let mut evaluated = evaluation(outcome, 1 + step.how % 2);
        if step.which % 2 > 0 {
            evaluated.step_up = StepUp::SshSignature;
        }
        evaluated.hold = step.which % 29 == 0;
        if step.which % 5 == 0 {
            evaluated.risk.factors.push(RiskFactor {
                id: BURST.into(),
                points: 15,
                reason: "many".into(),
            });
        }
        let (_, command) = self.world.submission(asked, evaluated);
        Some((who, command))
    }

    fn key(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let admin = self.holder(step, &[Role::Admin])?;
        let state = &self.world.state;
        let people = state.operators.values().filter(|held| {
            let has = held.ssh_keys().next();
            let may = match step.what {
                What::EnrolKey => has.is_none(),
                What::CountersignKey => has.is_some_and(|key| key.valid_from.is_none()),
                _ => has.is_some(),
            };
            step.anyone || may && held.holds(PROD, &[Role::Approver, Role::Operator])
        });
        let held = pick(people.cloned(), step.which)?;
        let fingerprint = format!("SHA256:{}", held.id.bits());
        let command = match step.what {
            What::EnrolKey => Command::EnrolKey {
                operator: held.id,
                key: SshKey {
                    public_key: format!("ssh-ed25519 {}", held.id.bits()),
                    fingerprint,
                    hardware: false,
                    enrolled_by: held.id,
                    enrolled_at: self.world.now,
                    valid_from: None,
                    countersigned_by: None,
                },
            },
            What::CountersignKey => Command::CountersignKey {
                operator: held.id,
                fingerprint,
            },
            _ => Command::RemoveKey {
                operator: held.id,
                fingerprint,
                reason: "because".into(),
            },
        };
        Some((admin, command))
    }

    /// What `who` signed, most often what it should be.
    fn checked(
        &self,
        step: &Step,
        who: &Actor,
        request: RequestId,
        decision: Decision,
    ) -> Option<Box<Checked>> {
        let Actor::Operator { id, .. } = who else {
            return None;
        };
        let mut checked = self.world.signed(*id, request, decision, "because");
        match step.how % 24 {
            1 => checked.statement.decision = Decision::Deny,
            2 => checked.statement.plan.ttl_s += 1,
            3 => checked.statement.request.rev += 1,
            4 => checked.signed.fingerprint = "SHA256:3".into(),
            5 => checked.statement.policy.version = "0".into(),
            _ => {}
        }
        Some(Box::new(checked))
    }

    /// The same about a proposal; nothing, now and then where a session is enough.
    fn checked_policy(
        &self,
        step: &Step,
        who: &Actor,
        proposal: ProposalId,
        decision: Decision,
    ) -> Option<Box<Checked<PolicyStatement>>> {
        let Actor::Operator { id, .. } = who else {
            return None;
        };
        let asked = self.world.state.proposals[&proposal].step_up;
        if step.how % 8 == 0 || asked == StepUp::None && step.how % 2 == 0 {
            return None;
        }
        let mut checked = self.world.signed_policy(*id, proposal, decision, "because");
        match step.how % 24 {
            1 => checked.statement.decision = Decision::Deny,
            2 => checked.statement.proposal.version += 1,
            3 => checked.signed.fingerprint = "SHA256:3".into(),
            _ => {}
        }
        Some(Box::new(checked))
    }

    fn open_request(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RequestState::*;
        let wanted = match step.what {
            What::Resume => &[Held][..],
            What::Reevaluate => &[AwaitingApproval, Approved, Held],
            _ => &[AwaitingApproval],
        };
        let request = self.request(step, wanted)?;
        let held = self.world.state.requests[&request].clone();
        let reason = String::from("because");
        let who = match step.what {
            What::BreakGlass => self.someone(step, |someone| someone.id == held.requester)?,
            What::Reevaluate => self.broker(step)?,
            _ => {
                let state = &self.world.state;
                self.someone(step, |someone| {
                    may_decide(state, &held, &state.operators[&someone.id]).is_ok()
                })?
            }
        };
        let version = self.world.state.policy_version().to_string();
        let asked_again = |outcome| Evaluation {
            policy_version: version.clone(),
            step_up: held.step_up(),
            ..evaluation(outcome, 1 + step.how % 2)
        };
        let command = match step.what {
            What::Narrow => {
                let mut plan = held.plan.clone();
                plan.ttl_s = (plan.ttl_s / 2).max(60);
                Command::Narrow {
                    request,
                    digest: digest(&plan),
                    plan,
                    reason,
                    evaluation: Box::new(asked_again(Outcome::Needs)),
                }
            }
            What::Hold => Command::Hold { request, reason },
            What::Resume => Command::Resume { request, reason },
            What::Note => Command::AddNote {
                request,
                text: reason,
            },
            What::BreakGlass => Command::BreakGlass {
                request,
                reason,
                checked: self.checked(step, &who, request, Decision::BreakGlass),
                evaluation: Box::new(Evaluation {
                    quorum: None,
                    review: Some(Review {
                        quorum: Quorum {
                            count: 1 + step.how % 2,
                            groups: vec!["security".into()],
                        },
                        within_s: 3_600,
                    }),
                    ..asked_again(Outcome::Allow)
                }),
            },
            _ => Command::Reevaluate {
                request,
                evaluation: Box::new(asked_again(match step.how % 6 {
                    0 => Outcome::Deny,
                    1 => Outcome::Allow,
                    _ => Outcome::Needs,
                })),
                facts: Box::new(Facts::ordinary("api_key", "production")),
            },
        };
        Some((who, command))
    }

    fn decision(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RequestState::*;
        let waiting = &[AwaitingApproval][..];
        let wanted = match step.what {
            What::Withdraw => &[AwaitingApproval, Approved, Failed][..],
            What::Retry => &[Failed],
            // Now and then what was claimed already.
            What::Claim if step.how % 8 == 0 => &[Claimed],
            What::Claim => &[Issued],
            _ => waiting,
        };
        let owed: Vec<RequestId> = self
            .world
            .state
            .requests
            .values()
            .filter(|held| held.review_owed().is_some())
            .map(|held| held.id)
            .collect();
        let request = match step.what {
            // Now and then what was issued without anybody.
            What::Approve | What::Deny if step.how % 3 == 0 && !owed.is_empty() => {
                pick(owed, step.which)?
            }
            _ => self.request(step, wanted)?,
        };
        let held = self.world.state.requests[&request].clone();
        let who = match step.what {
            What::Approve | What::Deny => {
                let state = &self.world.state;
                self.someone(step, |someone| {
                    may_decide(state, &held, &state.operators[&someone.id]).is_ok()
                        && !held.approved_by(someone.id)
                })?
            }
            What::Retry => self.holder(step, &[Role::Operator, Role::Admin])?,
            _ => self.someone(step, |someone| someone.id == held.requester)?,
        };
        let digest = if step.how % 16 == 0 {
            digest(&plan("something/else"))
        } else {
            held.digest
        };
        let reason = String::from("because");
        let command = match step.what {
            What::Approve => Command::Approve {
                request,
                approval: ApprovalId::from_bits(self.world.fresh()),
                digest,
                reason,
                checked: if held.step_up() == StepUp::None && step.how % 2 == 0 {
                    None
                } else {
                    self.checked(step, &who, request, Decision::Approve)
                },
            },
            What::Deny => Command::Deny {
                request,
                digest,
                reason,
                revocation: RevocationId::from_bits(self.world.fresh()),
                checked: if step.how % 2 == 0 {
                    None
                } else {
                    self.checked(step, &who, request, Decision::Deny)
                },
                unsigned: step.how % 3 == 0,
            },
            What::Withdraw => Command::Withdraw { request, reason },
            What::Retry => Command::Retry { request },
            _ => Command::Claim { request },
        };
        Some((who, command))
    }

    fn issuance(&mut self, step: &Step) -> Option<(Actor, Command)> {
        use RequestState::*;
        let wanted = if step.what == What::Start {
            &[Approved][..]
        } else {
            &[Issuing]
        };
        let request = self.request(step, wanted)?;
        let who = self.broker(step)?;
        let attempts = self.world.state.requests[&request].attempts;
        // Now and then a message that comes too early or too late.
        let attempt = match step.how % 12 {
            0 => attempts.saturating_sub(1),
            1 => attempts + 2,
            _ => attempts + u32::from(step.what == What::Start),
        };
        let lease = if step.how % 2 == 0 {
            pairs(&[("lease", "l/1")])
        } else {
            BTreeMap::new()
        };
        let command = match step.what {
            What::Start => Command::StartIssuance {
                request,
                attempt,
                locator: lease,
            },
            What::Minted => {
                let fresh = self.world.fresh();
                let ends = self.world.now + Duration::seconds(i64::from(step.which) * 30);
                let signed =
                    (step.how % 5 == 4).then(|| tokens::somewhere(&self.world.state, step));
                Command::RecordMinted {
                    request,
                    attempt,
                    credential: CredentialId::from_bits(fresh),
                    minted: Box::new(MintedVersion {
                        digest: Some(digest_of_bytes(&fresh.to_be_bytes())),
                        locator: signed.flatten().unwrap_or(lease),
                        expires_at: (step.how % 3 == 0).then_some(ends),
                        warnings: Vec::new(),
                    }),
                }
            }
            _ => Command::RecordIssuanceFailed {
                request,
                attempt,
                reason: "the issuer is away".into(),
                last: step.how % 3 == 0,
            },
        };
        Some((who, command))
    }

    fn delivery(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let reason = String::from("because");
        if step.what == What::DeliverTo {
            let who = self.holder(step, &[Role::Admin])?;
            let credential = self.credential(step)?;
            let destination = (step.how % 3 > 0).then(|| destination(step.how));
            let command = Command::DeliverTo {
                credential,
                destination,
                reason,
            };
            return Some((who, command));
        }
        let who = self.broker(step)?;
        let request = if step.anyone {
            self.request(step, &[])?
        } else {
            pick(self.world.state.to_deliver.iter().copied(), step.which)?
        };
        let command = match step.what {
            What::StartDelivery => Command::StartDelivery { request },
            What::Delivered => Command::RecordRequestDelivered {
                request,
                place: "vault/x, version 1".into(),
                proven: step.how % 2 == 0,
                check: if step.how % 3 == 0 {
                    "db: it logged in".into()
                } else {
                    String::new()
                },
            },
            _ => Command::RecordDeliveryFailed { request, reason },
        };
        Some((who, command))
    }

    fn policy(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let reason = String::from("because");
        if step.what == What::Propose {
            let who = self.holder(step, &[Role::Operator, Role::Approver, Role::Admin])?;
            // Now and then compared with another version than the one in force.
            let base = self.world.state.policy_version() - u32::from(step.how % 16 == 0);
            let mut command = self.world.proposal(base, 1 + step.how % 2);
            if let Command::ProposePolicy { step_up, .. } = &mut command
                && step.which % 2 > 0
            {
                *step_up = StepUp::SshSignature;
            }
            return Some((who, command));
        }
        let all = self.world.state.proposals.values();
        let waiting = all.filter(|held| {
            step.anyone || held.state == countersign::domain::ProposalState::AwaitingApproval
        });
        let held = pick(waiting.cloned(), step.which)?;
        let proposal = held.id;
        let digest = if step.how % 16 == 0 {
            digest(&plan("something/else"))
        } else {
            held.digest
        };
        let who = match step.what {
            What::WithdrawPolicy => self.someone(step, |someone| someone.id == held.proposer)?,
            _ => {
                let state = &self.world.state;
                self.someone(step, |someone| {
                    may_decide_policy(&held, &state.operators[&someone.id]).is_ok()
                        && !held.approved_by(someone.id)
                })?
            }
        };
        let command = match step.what {
            What::ApprovePolicy => Command::ApprovePolicy {
                proposal,
                approval: ApprovalId::from_bits(self.world.fresh()),
                digest,
                reason,
                checked: self.checked_policy(step, &who, proposal, Decision::Approve),
            },
            What::DenyPolicy => Command::DenyPolicy {
                proposal,
                digest,
                reason,
                checked: self.checked_policy(step, &who, proposal, Decision::Deny),
                unsigned: step.how % 3 == 0,
            },
            _ => Command::WithdrawPolicy { proposal, reason },
        };
        Some((who, command))
    }

    fn upkeep(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let reason = String::from("because");
        let fresh = self.world.fresh();
        Some(match step.what {
            What::Adopt => {
                let name = self.name(step)?;
                let mut held = adopted(&mut self.world, &name);
                if step.how % 2 == 0 {
                    held.versions[0].locator = pairs(&[("lease", "old")]);
                }
                (
                    self.holder(step, &[Role::Admin])?,
                    Command::Adopt(Box::new(held)),
                )
            }
            What::Quarantine => {
                let who = self.holder(step, &[Role::Operator, Role::Admin])?;
                (
                    who,
                    Command::Quarantine {
                        credential: self.credential(step)?,
                        reason,
                    },
                )
            }
            What::Release => {
                let who = self.holder(step, &[Role::Admin])?;
                let held = self.world.state.credentials.values();
                let quarantined = held.filter(|held| step.anyone || held.quarantined_at.is_some());
                let credential = pick(quarantined.map(|held| held.id), step.which)?;
                (who, Command::Release { credential, reason })
            }
            What::Revoke => {
                let who = self.holder(step, &[Role::Operator, Role::Admin])?;
                let credential = self.credential(step)?;
                let number = self.world.state.credentials[&credential].next_number();
                let version = (step.how % 4 > 0).then(|| 1 + u32::from(step.how) % number);
                (
                    who,
                    Command::Revoke {
                        id: RevocationId::from_bits(fresh),
                        credential,
                        version,
                        reason,
                    },
                )
            }
            What::ChangeOwner => {
                let who = self.holder(step, &[Role::Admin])?;
                let owner = format!("team-{}", step.how % 3);
                (
                    who,
                    Command::ChangeOwner {
                        credential: self.credential(step)?,
                        owner,
                        reason,
                    },
                )
            }
            What::Confirm => {
                let credential = self.credential(step)?;
                let owner = self.world.state.credentials[&credential].owner.clone();
                let who = self.someone(step, |held| {
                    held.holds(PROD, &[Role::Operator, Role::Admin])
                        || held.groups.contains(owner.as_str()) && held.holds_role_in(PROD)
                })?;
                (who, Command::Confirm { credential, reason })
            }
            What::Enforced | What::EnforcementFailed => {
                let who = self.broker(step)?;
                let state = &self.world.state;
                let revocation = if step.anyone {
                    pick(state.revocations.keys().copied(), step.which)?
                } else {
                    pick(state.to_enforce.iter().copied(), step.which)?
                };
                let command = if step.what == What::Enforced {
                    Command::RecordEnforced {
                        revocation,
                        proven: step.how % 2 == 0,
                    }
                } else {
                    Command::RecordEnforcementFailed { revocation, reason }
                };
                (who, command)
            }
            What::Usage => {
                let credential = self.credential(step)?;
                let entry = UsageEntry {
                    credential,
                    accepted: u64::from(step.how),
                    refused: 1,
                    last_used_at: Some(self.world.now),
                };
                (
                    self.broker(step)?,
                    Command::RollUpUsage {
                        hour: self.world.now,
                        entries: vec![entry],
                    },
                )
            }
            What::Leftover => (
                self.broker(step)?,
                Command::RecordLeftover {
                    issuer: "vault".into(),
                    what: reason,
                },
            ),
            _ => {
                // Sometimes with too few identifiers for all that is due.
                let count = if step.how % 4 == 0 {
                    1
                } else {
                    Command::SWEEP_LIMIT
                };
                let revocations = (0..count)
                    .map(|_| RevocationId::from_bits(self.world.fresh()))
                    .collect();
                (self.broker(step)?, Command::Sweep { revocations })
            }
        })
    }

    fn gateway(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let fresh = self.world.fresh();
        let admin = self.holder(step, &[Role::Admin]);
        let state = &self.world.state;
        let gateway = pick(state.gateways.values().cloned(), step.which);
        Some(match step.what {
            What::RegisterGateway => {
                let profile = Profile::ALL[usize::from(step.how) % Profile::ALL.len()];
                let cache_s = if profile.asks() {
                    u64::from(step.how % 3) * 20
                } else {
                    0
                };
                let name = format!("gateway-{}", step.which % 5);
                let mut new = gateway_of(GatewayId::from_bits(fresh), &name, profile, cache_s);
                match step.how % 7 {
                    0 => new.environment = Environment::Development,
                    1 => new.audiences = vec!["billing".into()],
                    2 => new.tokens.clear(),
                    _ => {}
                }
                (admin?, Command::RegisterGateway(Box::new(new)))
            }
            What::GatewayToken => {
                let held = gateway?;
                let command = match (step.how % 2, held.tokens.first()) {
                    (0, Some(token)) => Command::RevokeGatewayToken {
                        gateway: held.id,
                        token: token.id,
                    },
                    _ => Command::IssueGatewayToken {
                        gateway: held.id,
                        token: token(fresh << 64),
                    },
                };
                (admin?, command)
            }
            What::RemoveGateway => (
                admin?,
                Command::RemoveGateway {
                    gateway: gateway?.id,
                    reason: "because".into(),
                },
            ),
            What::Cursor => {
                // Most often one who has something to apply, and now and then what nobody can have applied yet.
                let waiting = pick(state.unapplied(), step.which);
                let id = waiting.map_or(gateway?.id, |(gateway, ..)| gateway);
                let cursor = match step.how % 8 {
                    0 => state.sequence + 1,
                    1 => state.sequence / 2,
                    _ => state.sequence,
                };
                let itself = Actor::Gateway {
                    id: if step.anyone {
                        GatewayId::from_bits(1)
                    } else {
                        id
                    },
                    token: TokenId::from_bits(1),
                };
                let sent = BTreeMap::from([(state.sequence, self.world.now)]);
                let command = Command::RecordCursor {
                    gateway: id,
                    cursor,
                    sent,
                };
                (itself, command)
            }
            _ => {
                let reached = state.revocations.values().flat_map(|held| {
                    let reach = held.reach.iter();
                    let open = reach.filter(|reach| step.anyone || reach.proven_at.is_none());
                    open.map(|reach| (held.id, reach.gateway))
                        .collect::<Vec<_>>()
                });
                let (revocation, gateway) = pick(reached, step.which)?;
                let command = Command::RecordProven {
                    gateway,
                    revocation,
                };
                (self.broker(step)?, command)
            }
        })
    }

    fn people(&mut self, step: &Step) -> Option<(Actor, Command)> {
        let who = self.holder(step, &[Role::Admin])?;
        let someone = pick(self.world.state.operators.keys().copied(), step.which)?;
        let fresh = self.world.fresh();
        let reason = String::from("because");
        let hand_over_to = (step.how % 3 == 0).then(|| format!("team-{}", step.which % 3));
        let role = Role::ALL[usize::from(step.how) % Role::ALL.len()];
        let roles: BTreeMap<Environment, BTreeSet<Role>> = match step.how % 4 {
            0 => BTreeMap::new(),
            1 => BTreeMap::from([(PROD, [role, Role::Approver].into())]),
            2 => BTreeMap::from([
                (PROD, [role].into()),
                (Environment::Development, [role].into()),
            ]),
            _ => BTreeMap::from([(PROD, [Role::Operator, Role::Approver].into())]),
        };
        let groups: BTreeSet<String> = match step.how % 5 {
            0 => BTreeSet::new(),
            1 => ["payments".into()].into(),
            _ => ["security".into()].into(),
        };
        Some((
            who,
            match step.what {
                What::Grant => Command::GrantOperator {
                    operator: someone,
                    roles,
                    groups,
                },
                What::Enrol => {
                    let mut new =
                        operator(person(fresh), &format!("new-{}", step.which), &[], &[], &[]);
                    new.roles = roles;
                    new.groups = groups;
                    new.robot = step.which % 5 == 0;
                    new.client = (step.which % 3 == 0).then_some(CHECKOUT);
                    Command::EnrolOperator(Box::new(new))
                }
                What::CloseAccount => Command::OffboardOperator {
                    operator: someone,
                    reason,
                    hand_over_to,
                },
                What::IssueToken if step.how % 3 == 0 => {
                    return Some((by(someone), self.session(step, someone, fresh)));
                }
                What::IssueToken => {
                    let mut token = token(fresh);
                    if step.how % 2 == 0 {
                        token.expires_at = self.world.now + Duration::hours(1);
                    }
                    Command::IssueToken {
                        operator: someone,
                        token,
                    }
                }
                What::RevokeToken => {
                    let held = &self.world.state.operators[&someone];
                    let token = pick(held.tokens().map(|token| token.id), step.how)
                        .unwrap_or(TokenId::from_bits(1));
                    Command::RevokeToken {
                        operator: someone,
                        token,
                    }
                }
                What::Onboard => {
                    let new: Client = client(
                        ClientId::from_bits(fresh),
                        &format!("client-{}", step.which % 3),
                        PROD,
                    );
                    Command::OnboardClient(Box::new(new))
                }
                _ => {
                    // Checkout last of all: most histories are about it.
                    let client = if step.how == 0 { CHECKOUT } else { LEDGER };
                    let held = self
                        .world
                        .state
                        .credentials
                        .values()
                        .filter(|held| held.client == client)
                        .count();
                    let revocations = (0..held)
                        .map(|_| RevocationId::from_bits(self.world.fresh()))
                        .collect();
                    Command::OffboardClient {
                        client,
                        reason,
                        hand_over_to,
                        revocations,
                    }
                }
            },
        ))
    }
}
