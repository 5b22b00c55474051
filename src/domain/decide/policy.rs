//! How a policy comes in force: proposed by one, approved by others, and never beside what it was compared with.

use super::{
    fresh, operator, people,
    signatures::{Denied, Matter, Words, denial_proof, distinct_key, proof, proven},
};
use crate::domain::{
    Approval, ApprovalId, Checked, Command, Context, Decision, Digest, Environment, Event,
    Operator, OperatorId, PolicyStatement, Proposal, ProposalId, Quorum, Refusal, Role, State,
    StepUp,
    check::{Check, NAME_MAX, clip},
    policy::{FILES_COUNT_MAX, FILES_MAX, GROUPS_MAX, ProposalState, REASON_MAX, encoded_size},
    request::Ending,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How many proposals may wait at once.
const OPEN_MAX: usize = 8;
/// Who may propose, and where: a policy is for all environments, so it takes a role in the one that matters most.
const PROPOSERS: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];
const WHERE: Environment = Environment::Production;

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::ProposePolicy {
            id,
            files,
            digest,
            base,
            base_digest,
            reason,
            quorum,
            step_up,
            approval_ttl_s,
        } => {
            let proposed = Proposed {
                files,
                digest: *digest,
                base: *base,
                base_digest: *base_digest,
                reason,
                quorum,
                step_up: *step_up,
                approval_ttl_s: *approval_ttl_s,
            };
            propose(state, context, *id, &proposed)
        }
        Command::ApprovePolicy {
            proposal,
            approval,
            digest,
            reason,
            checked,
        } => {
            let given = Given {
                approval: *approval,
                digest: *digest,
                reason,
                checked: checked.as_deref(),
            };
            approve(state, context, *proposal, &given)
        }
        Command::DenyPolicy {
            proposal,
            digest,
            reason,
            checked,
            unsigned,
        } => {
            let shown = Denied {
                checked: checked.as_deref(),
                unsigned: *unsigned,
            };
            deny(state, context, *proposal, *digest, reason, &shown)
        }
        Command::WithdrawPolicy { proposal, reason } => withdraw(state, context, *proposal, reason),
        _ => Ok(Vec::new()),
    }
}

struct Proposed<'a> {
    files: &'a BTreeMap<String, String>,
    digest: Digest,
    base: u32,
    base_digest: Digest,
    reason: &'a str,
    quorum: &'a Quorum,
    step_up: StepUp,
    approval_ttl_s: u64,
}

struct Given<'a> {
    approval: ApprovalId,
    digest: Digest,
    reason: &'a str,
    checked: Option<&'a Checked<PolicyStatement>>,
}

fn propose(
    state: &State,
    context: &Context,
    id: ProposalId,
    proposed: &Proposed<'_>,
) -> Result<Vec<Event>, Refusal> {
    let proposer = operator(state, context)?;
    if !proposer.holds(WHERE, PROPOSERS) {
        return Err(Refusal::Role {
            needs: PROPOSERS.iter().map(|role| role.as_str()).collect(),
            environment: WHERE,
        });
    }
    check_files(proposed.files, proposed.reason)?;
    people::require_reason(proposed.reason)?;
    let conflict = |detail| Err(Refusal::Conflict { detail });
    if state.proposals.contains_key(&id) {
        return conflict(format!("{id} exists already"));
    }
    let in_force = state.policy_version();
    if proposed.base != in_force {
        return conflict(format!(
            "this was written against version {}, and version {in_force} is in force; compare it with that one",
            proposed.base
        ));
    }
    if state
        .policy_in_force()
        .is_some_and(|held| held.digest == proposed.digest)
    {
        return conflict("this is the policy in force, to the byte".into());
    }
    let mut open = state
        .proposals
        .values()
        .filter(|held| held.state == ProposalState::AwaitingApproval);
    if open.any(|held| held.digest == proposed.digest) {
        return conflict("the same text waits for approval already".into());
    }
    let waiting = state
        .proposals
        .values()
        .filter(|held| held.state == ProposalState::AwaitingApproval)
        .count();
    if waiting >= OPEN_MAX {
        return Err(Refusal::Limit {
            detail: format!(
                "{OPEN_MAX} proposals wait already; let one be decided, or withdraw it"
            ),
        });
    }
    if proposed.quorum.count == 0 || proposed.quorum.groups.is_empty() {
        return Err(Refusal::Separation {
            rule: "no-group",
            detail: "a fault of the policy in force: it names nobody who may change it".into(),
        });
    }
    let mut quorum = proposed.quorum.clone();
    quorum.groups.truncate(GROUPS_MAX);
    for group in &mut quorum.groups {
        // A group that is cut matches nobody's.
        *group = clip(group, NAME_MAX);
    }
    let proposal = Proposal {
        id,
        proposer: proposer.id,
        proposer_name: proposer.name.clone(),
        files: proposed.files.clone(),
        digest: proposed.digest,
        base: proposed.base,
        base_digest: Some(proposed.base_digest),
        reason: proposed.reason.to_owned(),
        quorum,
        step_up: proposed.step_up,
        state: ProposalState::AwaitingApproval,
        proposed_at: context.now,
        deadline: context.now + super::requests::seconds(proposed.approval_ttl_s),
        approvals: Vec::new(),
        ended_by: None,
        version: None,
        sequence: 0,
        trail: Vec::new(),
    };
    Ok(vec![Event::PolicyProposed {
        proposal: Box::new(proposal),
    }])
}

fn check_files(files: &BTreeMap<String, String>, reason: &str) -> Result<(), Refusal> {
    let mut check = Check::default();
    if reason.len() > REASON_MAX {
        check.refuse("/reason", format!("expected at most {REASON_MAX} bytes"));
    }
    if files.is_empty() || files.len() > FILES_COUNT_MAX {
        check.refuse("/files", format!("expected 1 to {FILES_COUNT_MAX} files"));
    }
    for name in files.keys() {
        if name.len() > NAME_MAX {
            check.refuse(
                "/files",
                format!("expected names of at most {NAME_MAX} bytes"),
            );
        } else {
            check.name("/files", name);
        }
    }
    let size = encoded_size(files);
    if size > FILES_MAX {
        check.refuse(
            "/files",
            format!("they take {size} bytes in the log; at most {FILES_MAX} fit one leaf"),
        );
    }
    check.finish()
}

fn approve(
    state: &State,
    context: &Context,
    id: ProposalId,
    given: &Given<'_>,
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, given.digest)?;
    let approver = may_decide_policy(held, operator(state, context)?)?;
    let mut check = Check::default();
    check.text("/reason", given.reason, false);
    check.finish()?;
    if held.approved_by(approver.id) {
        return Err(Refusal::Separation {
            rule: "distinct-people",
            detail: "you have approved this already; another person is needed".into(),
        });
    }
    let words = Words {
        decision: Decision::Approve,
        person: approver,
        reason: given.reason,
    };
    let proof = proof(context, matter(held), &words, given.checked, |statement| {
        differs(held, statement)
    })?;
    distinct_key(&proof, held.standing())?;
    let mut events = vec![Event::PolicyApprovalGiven {
        proposal: id,
        approval: Box::new(Approval {
            id: given.approval,
            by: approver.id,
            by_name: approver.name.clone(),
            at: context.now,
            digest: given.digest,
            reason: given.reason.to_owned(),
            proof,
            void: None,
        }),
    }];
    if standing(state, held).len() + 1 >= usize::from(held.quorum.count) {
        events.push(Event::PolicyInForce {
            proposal: id,
            version: state.policy_version() + 1,
        });
    }
    Ok(events)
}

fn deny(
    state: &State,
    context: &Context,
    id: ProposalId,
    digest: Digest,
    reason: &str,
    shown: &Denied<'_, PolicyStatement>,
) -> Result<Vec<Event>, Refusal> {
    let held = decidable(state, context, id, digest)?;
    let denier = may_decide_policy(held, operator(state, context)?)?;
    people::require_reason(reason)?;
    let words = Words {
        decision: Decision::Deny,
        person: denier,
        reason,
    };
    let proof = denial_proof(context, matter(held), &words, shown, |statement| {
        differs(held, statement)
    })?;
    Ok(vec![Event::PolicyDenied {
        proposal: id,
        ending: Ending {
            proof: Some(proof),
            ..ending(denier, reason, context)
        },
    }])
}

/// A proposal, as far as keys go.
pub fn matter(held: &Proposal) -> Matter {
    Matter {
        asker: held.proposer,
        asked_at: held.proposed_at,
        step_up: held.step_up,
    }
}

/// What a statement about a proposal says otherwise than it is. A proposal is never changed, only superseded.
fn differs(held: &Proposal, said: &PolicyStatement) -> Option<&'static str> {
    let base = &said.base;
    let differs = [
        (said.proposal.id != held.id, "proposal"),
        (said.proposal.digest != held.digest, "text"),
        (said.proposal.version != held.base + 1, "version"),
        (
            base.version != held.base.to_string()
                || held.base_digest.is_some_and(|digest| digest != base.digest),
            "policy in force",
        ),
    ];
    let found = differs.iter().find(|(differs, _)| *differs);
    found.map(|(_, what)| *what)
}

fn withdraw(
    state: &State,
    context: &Context,
    id: ProposalId,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    let held = find(state, id)?;
    let asker = operator(state, context)?;
    if held.proposer != asker.id && !asker.holds(WHERE, &[Role::Admin]) {
        return Err(Refusal::Separation {
            rule: "own-proposal",
            detail: format!("only {} or an admin can take it back", held.proposer_name),
        });
    }
    fresh(context, id, held.sequence, &held.trail)?;
    people::require_reason(reason)?;
    match held.state {
        ProposalState::AwaitingApproval => Ok(vec![Event::PolicyWithdrawn {
            proposal: id,
            ending: ending(asker, reason, context),
        }]),
        ProposalState::Withdrawn => Ok(Vec::new()),
        other => Err(Refusal::Conflict {
            detail: format!("the proposal is {other}: it cannot be taken back"),
        }),
    }
}

fn ending(by: &Operator, reason: &str, context: &Context) -> Ending {
    Ending {
        by: by.name.clone(),
        reason: reason.to_owned(),
        at: context.now,
        proof: None,
    }
}

fn find(state: &State, id: ProposalId) -> Result<&Arc<Proposal>, Refusal> {
    state.proposals.get(&id).ok_or(Refusal::NotFound {
        what: "proposal",
        id: id.to_string(),
    })
}

/// The proposal, if it still waits for people, is what the caller saw, and is still a change of what is in force.
fn decidable<'a>(
    state: &'a State,
    context: &Context,
    id: ProposalId,
    digest: Digest,
) -> Result<&'a Arc<Proposal>, Refusal> {
    let held = find(state, id)?;
    fresh(context, id, held.sequence, &held.trail)?;
    let conflict = |detail| Err(Refusal::Conflict { detail });
    if held.state != ProposalState::AwaitingApproval {
        return conflict(format!(
            "the proposal is {}: there is nothing to decide",
            held.state
        ));
    }
    if held.deadline <= context.now {
        return conflict("the time to decide is over".into());
    }
    if held.digest != digest {
        return conflict(format!(
            "what you saw ({}) is not what is proposed ({})",
            digest.short(),
            held.digest.short()
        ));
    }
    Ok(held)
}

/// Whether `person` may decide `proposal`.
///
/// # Errors
/// The rule that says no, and who could decide instead.
pub fn may_decide_policy<'a>(
    proposal: &Proposal,
    person: &'a Arc<Operator>,
) -> Result<&'a Arc<Operator>, Refusal> {
    let groups = proposal.quorum.groups.join(" or ");
    let refuse = |rule, detail| Err(Refusal::Separation { rule, detail });
    if person.id == proposal.proposer {
        return refuse(
            "proposer-never-counts",
            format!(
                "you proposed this; {} of {groups} decide",
                proposal.quorum.count
            ),
        );
    }
    if person.robot {
        return refuse("people-only", "robots do not decide policies".to_owned());
    }
    if !person.holds(WHERE, &[Role::Approver]) {
        return Err(Refusal::Role {
            needs: vec![Role::Approver.as_str()],
            environment: WHERE,
        });
    }
    if !proposal
        .quorum
        .groups
        .iter()
        .any(|group| person.groups.contains(group))
    {
        return refuse(
            "group",
            format!("this is for {groups}; you are in none of them"),
        );
    }
    Ok(person)
}

/// The distinct people whose approvals still count: entitled now, for this very text, each with a key of their own.
fn standing(state: &State, proposal: &Proposal) -> BTreeSet<OperatorId> {
    let mut keys = BTreeSet::new();
    proposal
        .standing()
        .filter(|approval| {
            state.operators.get(&approval.by).is_some_and(|person| {
                may_decide_policy(proposal, person).is_ok()
                    && proven(proposal.step_up, approval, person)
            })
        })
        .filter(|approval| approval.key().is_none_or(|key| keys.insert(key)))
        .map(|approval| approval.by)
        .collect()
}
