//! Which policy decides: the one that the log says is in force, compiled once.

use super::{
    evaluate::{self, Asked},
    issuers::Issuers,
};
use crate::{
    domain::{
        Cadence, Digest, Evaluation, Facts, RotationRules, State,
        policy::{Proposal, SHIPPED},
    },
    policy::{Bundle, Decision, Policy, PolicyError, PolicyId, PolicyStore},
};
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, sync::Arc};

/// Policies, loaded as they are needed.
#[derive(Debug)]
pub struct Policies {
    store: PolicyStore,
}

/// The policy in force: or why it cannot be asked, and then everything is refused.
#[derive(Debug, Clone)]
pub enum InForce {
    /// It decides.
    Sound(Arc<Policy>),
    /// A text that came in force and does not load in this build.
    Broken {
        /// Which.
        id: PolicyId,
        /// Why not.
        reason: String,
    },
}

impl InForce {
    /// The decision on these facts. A policy that cannot be asked refuses.
    pub fn decide(&self, facts: &Facts) -> Decision {
        match self {
            Self::Sound(policy) => policy.decide(facts),
            Self::Broken { id, reason } => Decision::undefined(reason, id.clone()),
        }
    }
}

impl Policies {
    /// With what ships with the program in `store`.
    pub fn new(store: PolicyStore) -> Self {
        Self { store }
    }

    /// The policy that `state` says is in force.
    pub fn in_force(&self, state: &State) -> InForce {
        let Some(proposal) = state.policy_in_force() else {
            return InForce::Sound(Arc::clone(self.store.first()));
        };
        match self.of(proposal) {
            Ok(policy) => InForce::Sound(policy),
            Err(error) => InForce::Broken {
                id: id(proposal),
                reason: format!("the policy in force does not load in this version: {error}"),
            },
        }
    }

    fn of(&self, proposal: &Proposal) -> Result<Arc<Policy>, PolicyError> {
        match self.store.held(&id(proposal)) {
            Some(policy) => Ok(policy),
            None => self.store.load(version(proposal), &proposal.files),
        }
    }

    /// Loads a proposed text as the version after the one in force, and has it decide its own cases.
    ///
    /// # Errors
    /// [`PolicyError`]: it is not to be put in force.
    pub fn load(
        &self,
        state: &State,
        files: &BTreeMap<String, String>,
    ) -> Result<Arc<Policy>, PolicyError> {
        self.store.load(state.policy_version() + 1, files)
    }

    /// The policy that ships with the program.
    pub fn shipped(&self) -> &Arc<Policy> {
        self.store.first()
    }

    /// The files of the policy in force.
    pub fn files(&self, state: &State) -> BTreeMap<String, String> {
        state.policy_in_force().map_or_else(
            || self.store.first().bundle().files().clone(),
            |proposal| proposal.files.clone(),
        )
    }

    /// SHA-256 of the files of the policy in force.
    pub fn digest(&self, state: &State) -> Digest {
        state.policy_in_force().map_or_else(
            || crate::wire::policy_digest(self.store.first().bundle().files()),
            |proposal| proposal.digest,
        )
    }

    /// Who may change the policy in force. One that cannot be read any more is changed by whom the shipped one names.
    pub fn change(&self, state: &State) -> crate::policy::Change {
        match state.policy_in_force() {
            None => self.store.first().bundle().change().clone(),
            Some(proposal) => Bundle::new(proposal.files.clone())
                .map(|bundle| bundle.change().clone())
                .unwrap_or_default(),
        }
    }

    /// How often access is reviewed under the policy in force. One that cannot be read any more says nothing.
    pub fn reviews(&self, state: &State) -> Cadence {
        match self.in_force(state) {
            InForce::Sound(policy) => policy.bundle().reviews(),
            InForce::Broken { .. } => Cadence::default(),
        }
    }

    /// The table of rotation of the policy in force, for a broker with these issuers. `None` while that policy cannot be
    /// read: then the table before it counts on.
    pub fn rotation(&self, state: &State, issuers: &Issuers) -> Option<RotationRules> {
        let InForce::Sound(policy) = self.in_force(state) else {
            return None;
        };
        Some(RotationRules {
            policy: policy.bundle().rotation().clone(),
            issuers: issuers.all().map(|issuer| issuer.name.clone()).collect(),
            version: policy.id().version,
            digest: evaluate::digest(policy.id()),
        })
    }

    /// What the policy in force says about a plan, and on which facts.
    pub fn evaluate(
        &self,
        state: &State,
        asked: &Asked<'_>,
        now: DateTime<Utc>,
    ) -> (Facts, Evaluation) {
        let policy = self.in_force(state);
        evaluate::evaluate(|facts| policy.decide(facts), state, asked, now)
    }
}

fn version(proposal: &Proposal) -> u32 {
    proposal.version.map_or(SHIPPED, |(version, _)| version)
}

fn id(proposal: &Proposal) -> PolicyId {
    let digest = proposal.digest.to_string();
    PolicyId {
        version: version(proposal),
        digest: digest.trim_start_matches("sha256:").to_owned(),
    }
}
