//! The policy in force. Readers take the whole policy; an exchange is one pointer.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{DEFAULT_POLICY, DEFAULT_POLICY_NAME, Decision, Facts, Policy, PolicyError, PolicyId};

/// Holds the policy in force. A text that does not load never replaces one that did.
#[derive(Debug)]
pub struct PolicyStore {
    current: RwLock<Arc<Policy>>,
}

impl PolicyStore {
    /// With the policy that ships with the program, as version 1.
    pub fn shipped() -> Self {
        Self::new(
            Policy::load(1, DEFAULT_POLICY_NAME, DEFAULT_POLICY)
                .expect("the shipped policy loads: a test proves it"),
        )
    }

    /// With a policy that has already loaded.
    pub fn new(policy: Policy) -> Self {
        Self {
            current: RwLock::new(Arc::new(policy)),
        }
    }

    /// Loads `text` and puts it in force as `version`.
    ///
    /// # Errors
    /// [`PolicyError`] when it does not load; the one in force stays.
    pub fn replace(&self, version: u32, name: &str, text: &str) -> Result<PolicyId, PolicyError> {
        let policy = Policy::load(version, name, text)?;
        let id = policy.id().clone();
        *self.current.write() = Arc::new(policy);
        Ok(id)
    }

    /// The policy in force: keep it for as long as one batch of decisions takes.
    pub fn current(&self) -> Arc<Policy> {
        self.current.read().clone()
    }

    /// The decision of the policy in force.
    pub fn decide(&self, facts: &Facts) -> Decision {
        self.current().decide(facts)
    }
}
