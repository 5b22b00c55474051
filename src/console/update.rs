//! An event and the model in, a changed model and effects out. No clock, no input or output.

use super::effect::Effect;
use super::event::Event;
use super::model::{Ctx, Model};

/// Takes one event.
pub fn update(model: &mut Model, event: &Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut jump = None;
    let mut ctx = Ctx {
        shared: &mut model.shared,
        overlay: &mut model.overlay,
        jump: &mut jump,
        effects: &mut effects,
    };
    model.screens.get_mut(model.current).update(event, &mut ctx);
    effects
}
