//! How often each operator asks, and which of their requests belong together: those of which each came within the
//! window of the one before are one run, and a run is a burst once policy counts one of them as that.

use super::ASKING_WINDOW;
use crate::domain::{Evaluation, OperatorId, RequestId};
use chrono::{DateTime, Utc};
use imbl::{HashMap, OrdSet, Vector};
use std::cmp::Ordering;

/// The risk factor by which policy says that a request is part of a burst.
pub const BURST: &str = "requester.burst";

/// When operators asked, and what belongs together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asking {
    /// When each asked, in the window before they last did, oldest first; and the first request of that run.
    lately: HashMap<OperatorId, (Vector<DateTime<Utc>>, RequestId)>,
    /// The runs that are bursts.
    bursts: OrdSet<RequestId>,
}

impl Asking {
    /// How often `operator` asked for something in the [`ASKING_WINDOW`] before `now`.
    pub fn lately(&self, operator: OperatorId, now: DateTime<Utc>) -> usize {
        let Some((times, _)) = self.lately.get(&operator) else {
            return 0;
        };
        let since = now - ASKING_WINDOW;
        let before = times
            .binary_search_by(|at| {
                if *at <= since {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            })
            .unwrap_or_else(|index| index);
        times.len() - before
    }

    /// Whether this run is a burst.
    pub fn is_burst(&self, run: RequestId) -> bool {
        self.bursts.contains(&run)
    }

    /// The runs that are bursts.
    pub(super) fn bursts(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.bursts.iter().copied()
    }

    /// `operator` asked for `request`; gives the run that it belongs to, by its first request.
    pub(super) fn remember(
        &mut self,
        operator: OperatorId,
        request: RequestId,
        at: DateTime<Utc>,
    ) -> RequestId {
        let (times, run) = self
            .lately
            .entry(operator)
            .or_insert_with(|| (Vector::new(), request));
        while times
            .front()
            .is_some_and(|first| *first + ASKING_WINDOW <= at)
        {
            times.pop_front();
        }
        if times.is_empty() {
            *run = request;
        }
        times.push_back(at);
        *run
    }

    /// What policy says about a request of `run`.
    pub(super) fn judged(&mut self, run: RequestId, evaluation: &Evaluation) {
        let mut factors = evaluation.risk.factors.iter();
        if factors.any(|factor| factor.id == BURST) {
            self.bursts.insert(run);
        }
    }

    pub(super) fn restore_burst(&mut self, run: RequestId) {
        self.bursts.insert(run);
    }
}
