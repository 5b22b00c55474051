//! Pages to read about what somebody holds and answers for, and about reviews that nobody did in time. They change
//! nothing; each ends with the command line that goes on from there.

use crate::client::Held;
use crate::client::holdings::lines::{review, section};
use crate::console::effect::Call;
use crate::console::event::Level;
use crate::console::model::{Choice, Ctx, Overlay};
use crate::display::time::count;
use crate::wire::{Page, ReviewRow};

/// The line of a menu that asks what somebody holds.
pub fn entry(name: &str) -> (&'static str, String, Choice) {
    let note = format!("all that {name} holds and answers for");
    ("holdings", note, Choice::Ask(Call::HeldBy(name.to_owned())))
}

/// Opens a page that was asked for, unless something else was opened meanwhile, which stays.
pub fn open(title: String, lines: Vec<String>, ctx: &mut Ctx<'_>) {
    if ctx.overlay.is_some() {
        let words = format!("{title} can be shown now: ask again");
        return ctx.toast(Level::Info, words);
    }
    *ctx.overlay = Some(Overlay::Page(title, lines, 0));
}

/// The answer to [`Call::HeldBy`] is there.
pub fn opens(held: &Held, ctx: &mut Ctx<'_>) {
    if held.is_nobody() {
        let words = format!("nobody here is called {}, and nothing is theirs", held.name);
        return ctx.toast(Level::Info, words);
    }
    let name = &held.name;
    let mut lines = held.lines(ctx.shared.now);
    lines.push(String::new());
    lines.push(format!("countersign operator show {name}"));
    if held.account.is_some() {
        let leave = "[--hand-over-to TEAM] --reason …";
        lines.push(format!("countersign operator offboard {name} {leave}"));
    }
    open(format!("WHAT {name} HOLDS"), lines, ctx);
}

/// The answer to [`Call::OverdueReviews`] is there.
pub fn opens_reviews(overdue: &Page<ReviewRow>, ctx: &mut Ctx<'_>) {
    let now = ctx.shared.now;
    let mut lines = vec![
        "Nobody has said in time that these are still needed. Whoever answers for one confirms it, or gives it up."
            .to_owned(),
    ];
    let rows = overdue.items.iter().map(|row| review(row, now)).collect();
    let title = format!("Overdue: {}, the longest first", count(overdue.total));
    section(&mut lines, title, rows, overdue.total);
    lines.push(String::new());
    lines.push("countersign review list --filter state=overdue".into());
    lines.push("countersign review confirm NAME … --reason …".into());
    lines.push("countersign review give-up NAME --reason …".into());
    open("ACCESS REVIEWS THAT ARE OVERDUE".into(), lines, ctx);
}
