//! The inventory of credentials.

use super::{Screen, ScreenId};
use crate::console::backend::Frame;
use crate::console::command::Command;
use crate::console::event::Event;
use crate::console::model::{Available, Ctx, Shared};
use crate::console::theme::Theme;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

/// What the screen keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Credentials {
    filter: String,
}

impl Screen for Credentials {
    fn update(&mut self, _event: &Event, _ctx: &mut Ctx<'_>) {}

    fn view(&self, _shared: &Shared, _area: Rect, _frame: &mut Frame<'_>, _theme: &Theme) {}

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        vec![Command::Open]
    }

    fn available(&self, _command: Command, _shared: &Shared) -> Available {
        Ok(())
    }

    fn twin(&self, _shared: &Shared) -> String {
        format!("countersign credential list --filter '{}'", self.filter)
    }

    fn badge(&self, _shared: &Shared) -> Option<u64> {
        let _ = ScreenId::Credentials;
        None
    }
}
