//! A bounded recording of the session: the model as it was, and every event since. Played forward it gives
//! the model again, so that what somebody saw in the field becomes a test. No secret is ever in an event.

use super::event::Event;
use super::model::Model;
use super::update::update;
use serde::{Deserialize, Serialize};

/// Events in one window; a recording holds the window that runs and the one before it.
const WINDOW: usize = 4_096;
/// With more credentials than this a window begins without them: writing them down would cost too much.
pub const FLEET_MAX: usize = 20_000;

/// A start and what happened since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The model at the beginning.
    pub start: Box<Model>,
    /// Credentials that were left out of it; playing it then shows an emptier inventory.
    pub left_out: usize,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Recording {
    fn begin(model: &mut Model) -> Self {
        let left_out = match model.shared.fleet.len() {
            len if len > FLEET_MAX => len,
            _ => 0,
        };
        let kept = (left_out > 0).then(|| {
            let fleet = std::mem::take(&mut model.shared.fleet);
            (fleet, std::mem::take(&mut model.screens.credentials))
        });
        let start = Box::new(model.clone());
        if let Some((fleet, credentials)) = kept {
            model.shared.fleet = fleet;
            model.screens.credentials = credentials;
        }
        Self {
            start,
            left_out,
            events: Vec::new(),
        }
    }

    /// What whoever plays it has to know: that it shows less than the person saw.
    pub fn notice(&self) -> Option<String> {
        (self.left_out > 0).then(|| {
            let count = crate::display::time::count(self.left_out as u64);
            format!(
                "{count} credentials were left out of this recording, which keeps no more than {FLEET_MAX}: its \
                 lists are emptier than what was seen"
            )
        })
    }

    /// Plays it forward: the model that comes out.
    pub fn replay(&self) -> Model {
        let mut model = (*self.start).clone();
        for event in &self.events {
            update(&mut model, event);
        }
        model
    }
}

/// Keeps the recording of a running session.
#[derive(Debug, Default)]
pub struct Recorder {
    before: Option<Recording>,
    current: Option<Recording>,
}

impl Recorder {
    /// Takes an event down, before it changes the model. The rows of long lists are left out of windows
    /// that begin without them.
    pub fn take(&mut self, model: &mut Model, event: &Event) {
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.events.len() >= WINDOW)
        {
            self.before = self.current.take();
            self.current = Some(Recording::begin(model));
        }
        let Some(current) = &mut self.current else {
            return;
        };
        let loaded = model.shared.fleet.len();
        match event {
            Event::Rows(_) if current.left_out > 0 || loaded > FLEET_MAX => {
                if current.left_out == 0 {
                    // Half a list is worth nothing, and megabytes.
                    current
                        .events
                        .retain(|event| !matches!(event, Event::Rows(_)));
                }
                current.left_out = loaded;
            }
            event => current.events.push(event.clone()),
        }
    }

    /// What is kept: both windows as one, or the running one alone where the older is incomplete.
    pub fn recording(&self) -> Option<Recording> {
        let current = self.current.as_ref()?;
        Some(match &self.before {
            Some(before) if before.left_out == 0 => Recording {
                start: before.start.clone(),
                left_out: current.left_out,
                events: before
                    .events
                    .iter()
                    .chain(&current.events)
                    .cloned()
                    .collect(),
            },
            _ => current.clone(),
        })
    }
}
