//! Policies that were loaded, so that each text is compiled and tried once. Which one decides is not said here but by
//! whoever asks: the log says which is in force.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::{Bundle, Policy, PolicyError, PolicyId, cases};

/// How many are kept besides the shipped one: the one in force, and those that wait or are simulated.
const KEPT: usize = 8;

/// Loads policies, and keeps the latest.
#[derive(Debug)]
pub struct PolicyStore {
    shipped: Arc<Policy>,
    loaded: Mutex<Vec<Arc<Policy>>>,
}

impl PolicyStore {
    /// With the policy that ships with the program, as version 1.
    pub fn shipped() -> Self {
        let shipped = Policy::load(1, &Bundle::shipped());
        Self::new(shipped.expect("the shipped policy loads: a test proves it"))
    }

    /// With another policy in the place of the shipped one.
    pub fn new(shipped: Policy) -> Self {
        Self {
            shipped: Arc::new(shipped),
            loaded: Mutex::new(Vec::new()),
        }
    }

    /// The policy that is in force until another is proposed and approved.
    pub fn first(&self) -> &Arc<Policy> {
        &self.shipped
    }

    /// The policy of this version and digest, if it was loaded already.
    pub fn held(&self, id: &PolicyId) -> Option<Arc<Policy>> {
        if self.shipped.id() == id {
            return Some(Arc::clone(&self.shipped));
        }
        self.loaded
            .lock()
            .iter()
            .find(|policy| policy.id() == id)
            .cloned()
    }

    /// Compiles `files` as `version` and has them decide their own cases.
    ///
    /// # Errors
    /// [`PolicyError`], with file and line: it is not to be put in force.
    pub fn load(
        &self,
        version: u32,
        files: &BTreeMap<String, String>,
    ) -> Result<Arc<Policy>, PolicyError> {
        let bundle = Bundle::new(files.clone())?;
        let id = PolicyId {
            version,
            digest: bundle.digest(),
        };
        if let Some(held) = self.held(&id) {
            return Ok(held);
        }
        let policy = Arc::new(Policy::load(version, &bundle)?);
        let report = cases::run(&policy, &bundle)?;
        if !report.failed.is_empty() {
            return Err(PolicyError::Cases {
                failed: report.failed,
                total: report.total,
            });
        }
        let mut loaded = self.loaded.lock();
        if loaded.len() == KEPT {
            loaded.remove(0);
        }
        loaded.push(Arc::clone(&policy));
        Ok(policy)
    }
}
