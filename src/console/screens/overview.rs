//! The first screen: what needs a person now, what hurts today, is the service good, hygiene.
//!
//! Its figures are the broker's, counted from one state; events that arrive since then are shown at once under
//! LAST, and the figures are asked for again when enough has changed. Enter on a figure opens the list behind it.

/// The page as lines.
pub mod page;
mod sections;
mod service;

use super::{Screen, ScreenId, Subject, kit};
use crate::console::backend::Frame;
use crate::console::command::Command;
use crate::console::effect::{Call, CallId};
use crate::console::event::{Event, Reply};
use crate::console::model::{Available, Ctx, Overlay, Shared};
use crate::console::paint;
use crate::console::theme::{Role, Theme};
use crate::wire::Overview;
use chrono::{DateTime, Utc};
use page::{Page, Step, Way};
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

/// How old figures get, in seconds, before news makes them be asked for again.
const FRESH_S: i64 = 5;
/// Events under LAST.
const RECENT: usize = 16;

/// What the first screen keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OverviewScreen {
    /// The figures, once they came.
    pub overview: Option<Box<Overview>>,
    /// When they came, while they are the last run's.
    kept_at: Option<DateTime<Utc>>,
    asked: Option<CallId>,
    asked_at: Option<DateTime<Utc>>,
    /// Something happened since the figures were counted.
    news: bool,
    /// The figure that the cursor is on, by its key.
    pub cursor: Option<String>,
    skip: usize,
}

impl OverviewScreen {
    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        self.news = false;
        self.asked_at = Some(ctx.shared.now);
        self.asked = Some(ctx.call(Call::Overview));
    }

    fn stale(&self, now: DateTime<Utc>) -> bool {
        self.asked.is_none()
            && (self.overview.is_none() || self.kept_at.is_some() || self.news)
            && self
                .asked_at
                .is_none_or(|at| (now - at).num_seconds() >= FRESH_S)
    }

    fn page(&self, shared: &Shared, theme: &Theme, area: Rect) -> Option<Page> {
        let overview = self.overview.as_deref()?;
        let look = kit::Look::new(shared, theme);
        Some(page::page(
            overview,
            &shared.chain,
            &look,
            area.width.into(),
            area.height.into(),
        ))
    }

    /// The page as it lies now, for moving about: its layout depends on the size and on the figures only.
    fn layout(&self, shared: &Shared) -> Page {
        let theme = kit::theme_of(shared);
        self.page(shared, &theme, kit::body(shared))
            .unwrap_or_default()
    }

    fn step(&mut self, step: Step, shared: &Shared) {
        let page = self.layout(shared);
        if let Some(place) = page.step(self.cursor.as_deref(), step) {
            self.cursor = Some(place.key.clone());
        }
        self.follow(&page, shared);
    }

    fn ends(&mut self, last: bool, shared: &Shared) {
        let page = self.layout(shared);
        let place = if last {
            page.places.last()
        } else {
            page.places.first()
        };
        self.cursor = place.map(|place| place.key.clone());
        self.follow(&page, shared);
    }

    fn follow(&mut self, page: &Page, shared: &Shared) {
        let rows = usize::from(kit::body(shared).height);
        let line = page
            .places
            .iter()
            .find(|place| Some(&place.key) == self.cursor.as_ref())
            .map_or(0, |place| place.line);
        self.skip = if line <= 1 {
            0
        } else {
            kit::scrolled(self.skip, line, rows, page.lines.len())
        };
    }

    fn target(&self, shared: &Shared) -> Option<Way> {
        let key = self.cursor.as_deref()?;
        let page = self.layout(shared);
        let place = page.places.into_iter().find(|place| place.key == key)?;
        Some(place.way)
    }
}

/// What the figure that leads there counts.
fn counted(way: &Way) -> Vec<String> {
    let jump = match way {
        Way::Jump(jump) => jump,
        Way::Ask(_) => {
            return vec![
                "The broker counts the living credentials that nobody confirmed in time, by the dates of the access review.".into(),
                "Enter opens them as a page.".into(),
            ];
        }
    };
    let what = match jump.screen {
        ScreenId::Approvals => "requests",
        ScreenId::Credentials => "credentials",
        ScreenId::Policy => "proposed policies that wait",
        ScreenId::Revocations => "revocations",
        ScreenId::Rotation => "credentials with a cadence",
        _ => "records of the log",
    };
    let which = match (&jump.filter, &jump.id) {
        (Some(filter), _) if !filter.is_empty() => format!("the {what} that match  {filter}"),
        (_, Some(id)) => format!("what it says about {id}"),
        _ => format!("all {what}"),
    };
    vec![
        format!("The broker counts {which}."),
        "Every figure of this page is counted from one state of the log; what came since stands under LAST.".into(),
        format!("Enter opens these on {}.", jump.screen.title()),
    ]
}

impl Screen for OverviewScreen {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        match event {
            Event::Reply(id, reply) if self.asked == Some(*id) => {
                self.asked = None;
                match reply.as_ref() {
                    Ok(Reply::Overview(overview)) => {
                        self.overview = Some(overview.clone());
                        self.kept_at = None;
                    }
                    Ok(_) => {}
                    Err(error) => ctx.failed("overview", error),
                }
            }
            Event::Known(known) if self.overview.is_none() => {
                self.overview = Some(known.overview.clone());
                self.kept_at = Some(known.at);
            }
            Event::Feed(item) => {
                self.news = true;
                if let Some(overview) = &mut self.overview
                    && !ctx.frozen
                    && overview
                        .recent
                        .first()
                        .is_none_or(|last| last.sequence < item.event.sequence)
                {
                    overview.recent.insert(0, item.event.clone());
                    overview.recent.truncate(RECENT);
                }
            }
            Event::Tick(now)
                if ctx.current == ScreenId::Overview && !ctx.frozen && self.stale(*now) =>
            {
                self.ask(ctx);
            }
            Event::Command(Command::Refresh) => self.ask(ctx),
            Event::Command(Command::Down) => self.step(Step::Down, ctx.shared),
            Event::Command(Command::Up) => self.step(Step::Up, ctx.shared),
            Event::Command(Command::Left | Command::PreviousPane) => {
                self.step(Step::Left, ctx.shared);
            }
            Event::Command(Command::Right | Command::NextPane) => {
                self.step(Step::Right, ctx.shared);
            }
            Event::Command(Command::First) => self.ends(false, ctx.shared),
            Event::Command(Command::Last) => self.ends(true, ctx.shared),
            Event::Command(Command::Explain) => {
                if let Some(way) = self.target(ctx.shared) {
                    let lines = counted(&way);
                    *ctx.overlay = Some(Overlay::Page("WHAT IS COUNTED".into(), lines, 0));
                }
            }
            Event::Command(Command::Open | Command::Related) => match self.target(ctx.shared) {
                Some(Way::Jump(jump)) => ctx.go(jump),
                Some(Way::Ask(call)) => {
                    ctx.call(call);
                }
                None => self.ends(false, ctx.shared),
            },
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        if self.overview.is_none() || self.stale(ctx.shared.now) {
            self.ask(ctx);
        }
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let Some(page) = self.page(shared, theme, area) else {
            let words = if self.asked.is_some() {
                "asking the broker"
            } else {
                "no figures yet"
            };
            paint::text(
                frame.buffer,
                area.x + 1,
                area.y,
                area.width,
                words,
                theme.style(Role::Muted),
            );
            return;
        };
        kit::paint(frame.buffer, area, &page.lines, self.skip);
        let here = page
            .places
            .iter()
            .find(|place| Some(&place.key) == self.cursor.as_ref());
        if let Some(place) = here
            && let Some(row) = place.line.checked_sub(self.skip)
            && row < usize::from(area.height)
        {
            paint::text(
                frame.buffer,
                area.x + place.column as u16,
                area.y + row as u16,
                1,
                theme.glyphs.cursor,
                theme.style(Role::Focused),
            );
        }
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        vec![
            Command::Down,
            Command::Open,
            Command::Explain,
            Command::Refresh,
            Command::TimeFormat,
            Command::CopyMenu,
            Command::Palette,
            Command::Help,
        ]
    }

    fn available(&self, command: Command, shared: &Shared) -> Available {
        match command {
            Command::Open | Command::NextPane | Command::PreviousPane => Ok(()),
            Command::Explain | Command::Related if self.target(shared).is_some() => Ok(()),
            Command::Explain | Command::Related => Err("put the cursor on a figure first: j"),
            Command::Diff => Err("figures are counted anew each time: there is nothing to compare"),
            Command::ZoomIn | Command::ZoomOut | Command::ZoomNow => {
                Err("the spans of the overview are fixed: an hour, a day, a week")
            }
            Command::NextObject | Command::PreviousObject => {
                Err("figures are not opened one by one; enter shows the list behind one")
            }
            _ => Err("the overview only shows; open the list behind a figure"),
        }
    }

    fn subject(&self, shared: &Shared) -> Option<Subject> {
        let Way::Jump(jump) = self.target(shared)? else {
            return None;
        };
        let id = jump.id.or(jump.filter)?;
        Some(Subject {
            name: id.clone(),
            twin: match jump.screen {
                ScreenId::Credentials => format!("countersign credential list --filter '{id}'"),
                ScreenId::Approvals => format!("countersign request list --filter '{id}'"),
                ScreenId::Policy => format!("countersign policy show {id}"),
                ScreenId::Rotation => "countersign rotation compliance".to_owned(),
                ScreenId::Revocations if id.starts_with("rvk_") => {
                    format!("countersign revocation show {id}")
                }
                ScreenId::Revocations => format!("countersign revocation list --filter '{id}'"),
                _ => format!("countersign audit list --filter '{id}'"),
            },
            id,
            json: self
                .overview
                .as_deref()
                .and_then(|overview| serde_json::to_string_pretty(overview).ok())
                .unwrap_or_default(),
        })
    }

    fn twin(&self, _shared: &Shared) -> String {
        "countersign overview".into()
    }

    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        let overview = self.overview.as_deref()?;
        let text = serde_json::to_string_pretty(overview).ok()?;
        Some(("json", text + "\n"))
    }

    fn kept_at(&self, _shared: &Shared) -> Option<DateTime<Utc>> {
        self.kept_at
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        // The countdown of the request that ends first.
        let counting = self
            .overview
            .as_ref()
            .is_some_and(|overview| overview.approvals.ending_soon > 0);
        Some(if counting { 1 } else { 30 })
    }
}
