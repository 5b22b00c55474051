//! The inventory: what there is, how much of its life is used, and what is due. The list keeps to the left or
//! above; what the cursor is on is told in full beside or below it.

pub(in crate::console) mod acts;
pub(super) mod answers;
mod beneath;
mod detail;
mod draw;
pub mod holdings;

use super::{Act, Jump, Screen, Subject};
use crate::console::backend::Frame;
use crate::console::command::{ActKind, Command};
use crate::console::effect::{Call, CallId};
use crate::console::event::{Event, Level, LinkState, Reply};
use crate::console::fleet::{Fleet, View};
use crate::console::model::{Available, Ctx, Overlay, Shared};
use crate::console::theme::Theme;
use crate::console::view::body;
use crate::wire::filter::{Filter, FilterError};
use crate::wire::{CredentialDetail, CredentialId, CredentialRow, FeedItem};
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Saved views: the questions that come up every day.
const VIEWS: &[(&str, &str)] = &[
    ("all", ""),
    ("due today", "due<24h & !state:revoked"),
    ("overdue", "overdue & !state:revoked"),
    ("ends today", "left<24h"),
    ("no expiry", "never"),
    ("unused 45d", "unused>45d & state:active"),
    ("no owner", "owner=nobody"),
    ("quarantined", "state:quarantined"),
];

/// What the screen keeps for itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Credentials {
    view: View,
    /// As it was typed.
    filter: String,
    /// The fleet's row that the cursor is on: it follows the credential, not the place.
    cursor: Option<u32>,
    /// The row that the detail tells of: the cursor's, once it has rested there. While a key is held the list
    /// moves alone.
    rested: Option<u32>,
    /// The list has scrolled beside the detail since: that is blank until the cursor rests. A terminal moves whole
    /// lines, so a detail that stood still would have to be written anew for every row.
    blank: bool,
    /// Its place in the list.
    place: usize,
    /// The first place that is seen.
    offset: usize,
    marks: BTreeSet<CredentialId>,
    last_mark: Option<CredentialId>,
    /// The detail has the whole screen.
    open: bool,
    /// Lines of it that are scrolled away.
    scroll: usize,
    detail: Option<Box<CredentialDetail>>,
    asked: Option<(CallId, CredentialId)>,
    /// Something happened to it since it was asked for.
    stale: bool,
    /// To be shown as soon as it is there.
    wanted: Option<CredentialId>,
    /// Rows of the kept list and of the fresh one are arriving; meanwhile the list is sorted now and then only.
    loading: [bool; 2],
}

/// Where list and detail stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    list: Rect,
    detail: Rect,
    wide: bool,
}

impl Layout {
    fn of(area: Rect, open: bool) -> Self {
        let wide = area.width >= 110;
        let (mut list, mut detail) = (area, area);
        if open {
            list.height = 0;
        } else if wide {
            list.width = (area.width * 3 / 5).clamp(66, 110);
            detail.x = area.x + list.width + 1;
            detail.width = area.width - list.width - 1;
        } else {
            detail.height = (area.height / 2)
                .clamp(0, 14)
                .min(area.height.saturating_sub(6));
            list.height = area.height - detail.height;
            detail.y = area.y + list.height;
        }
        Self { list, detail, wide }
    }

    /// Rows of credentials: without the rule and the heads.
    fn rows(self) -> usize {
        usize::from(self.list.height.saturating_sub(2))
    }
}

impl Credentials {
    fn layout(&self, shared: &Shared) -> Layout {
        Layout::of(body(shared.size), self.open)
    }

    fn row(&self, shared: &Shared) -> Option<CredentialRow> {
        shared.fleet.get(self.cursor?)
    }

    /// The name of what the cursor is on; empty if on nothing.
    pub fn subject_name(&self, shared: &Shared) -> String {
        self.row(shared).map(|row| row.name).unwrap_or_default()
    }

    /// The row that the detail tells of. It has its own name on it, so it is never taken for the cursor's.
    fn told(&self, shared: &Shared) -> Option<CredentialRow> {
        let row = match (self.open, self.blank) {
            (true, _) => self.cursor,
            (false, true) => None,
            (false, false) => self.rested,
        };
        shared.fleet.get(row?)
    }

    /// From here on the detail tells of what the cursor is on, from its beginning.
    fn rest(&mut self) {
        if self.unrested() {
            self.rested = self.cursor;
            self.scroll = 0;
            self.blank = false;
        }
    }

    /// What is known in full of the credential under the cursor, if it is.
    fn detail_of(&self, id: CredentialId) -> Option<&CredentialDetail> {
        self.detail.as_deref().filter(|detail| detail.row.id == id)
    }

    /// Whether an event is about what the detail tells: the credential, or a revocation of it, which the list's row
    /// does not show.
    fn concerns(&self, item: &FeedItem) -> bool {
        let Some(detail) = &self.detail else {
            return false;
        };
        let subject = item.event.subject.as_str();
        let revoked = &detail.revocations;
        item.credential
            .as_ref()
            .is_some_and(|row| row.id == detail.row.id)
            || subject == detail.row.id.to_string()
            || revoked.iter().any(|held| subject == held.id.to_string())
    }

    /// What an act is done to: the marks, or what the cursor is on.
    fn targets(&self, shared: &Shared) -> Vec<CredentialRow> {
        if self.marks.is_empty() {
            return self.row(shared).into_iter().collect();
        }
        let rows = self.marks.iter().filter_map(|id| shared.fleet.find(*id));
        rows.filter_map(|row| shared.fleet.get(row)).collect()
    }

    /// Puts the cursor at a place and keeps it in sight.
    fn select(&mut self, place: usize, shared: &Shared) {
        let rows = self.view.rows();
        self.place = place.min(rows.len().saturating_sub(1));
        self.cursor = rows.get(self.place).copied();
        self.keep_in_sight(shared);
    }

    fn keep_in_sight(&mut self, shared: &Shared) {
        let height = Layout::of(body(shared.size), false).rows().max(1);
        self.offset = self.offset.min(self.place);
        if self.place >= self.offset + height {
            self.offset = self.place + 1 - height;
        }
        self.offset = self
            .offset
            .min(self.view.rows().len().saturating_sub(height));
    }

    /// The list has changed: the cursor stays on its credential, or near its place if that is gone.
    fn follow(&mut self, shared: &Shared) {
        let rows = self.view.rows();
        if rows.get(self.place).copied() != self.cursor || self.cursor.is_none() {
            let found = rows.iter().position(|row| Some(*row) == self.cursor);
            return self.select(found.unwrap_or(self.place), shared);
        }
        self.keep_in_sight(shared);
    }

    /// A new list, begun by the person: from its top.
    fn rewind(&mut self, shared: &Shared) {
        self.offset = 0;
        self.select(0, shared);
    }

    /// Brings list and detail up to date, as far as the person allows.
    fn tick(&mut self, ctx: &mut Ctx<'_>) {
        if self.view.busy() {
            self.view.advance(&ctx.shared.fleet, ctx.shared.now);
            self.follow(ctx.shared);
        } else if !ctx.frozen && self.due(&ctx.shared.fleet) {
            let now = ctx.shared.now;
            if self.view.settle(&mut ctx.shared.fleet, now) {
                self.follow(ctx.shared);
            }
        }
        if let Some(row) = self.wanted.and_then(|id| ctx.shared.fleet.find(id)) {
            self.wanted = None;
            self.show(row, ctx.shared);
        }
        // With nothing told yet, with the detail alone on the screen, and under a menu or sheet, which are about
        // the cursor's: at once.
        let bound = matches!(ctx.overlay, Some(Overlay::Menu(_) | Overlay::Sheet(_)));
        if self.rested.is_none() || self.open || bound {
            self.rest();
        }
        self.ask(ctx);
    }

    fn loading(&self) -> bool {
        self.loading.contains(&true)
    }

    /// While a long list arrives, sorting it again for every block would cost more than the list.
    fn due(&self, fleet: &Fleet) -> bool {
        !self.loading()
            || self.view.order().is_empty()
            || fleet.len() >= self.view.order().len() * 4
    }

    /// Asks for the rest of what the detail tells of; one call at a time.
    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let live = matches!(ctx.shared.link, LinkState::Live { .. });
        let Some(row) = self.told(ctx.shared) else {
            return;
        };
        let known = self.detail_of(row.id);
        let fresh = known.is_some_and(|detail| detail.row.sequence >= row.sequence);
        if live && (!fresh || self.stale) && self.asked.is_none() {
            self.stale = false;
            let call = ctx.call(Call::Credential(row.id));
            self.asked = Some((call, row.id));
        }
    }

    fn show(&mut self, row: u32, shared: &Shared) {
        if !self.view.rows().contains(&row) {
            self.filter.clear();
            self.view
                .set_filter(&Filter::default(), &shared.fleet, shared.now);
        }
        self.cursor = Some(row);
        let place = self.view.rows().iter().position(|other| *other == row);
        self.select(place.unwrap_or(0), shared);
        self.open = true;
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = (self.layout(ctx.shared).rows() / 2).max(1);
        let last = self.view.rows().len().saturating_sub(1);
        let offset = self.offset;
        match command {
            Command::Down | Command::HalfPageDown if self.open => {
                self.scroll += if command == Command::Down { 1 } else { 8 };
            }
            Command::Up | Command::HalfPageUp if self.open => {
                let by = if command == Command::Up { 1 } else { 8 };
                self.scroll = self.scroll.saturating_sub(by);
            }
            Command::Down | Command::NextObject => self.select(self.place + 1, ctx.shared),
            Command::Up | Command::PreviousObject => {
                self.select(self.place.saturating_sub(1), ctx.shared);
            }
            Command::HalfPageDown => {
                self.offset += half;
                self.select(self.place + half, ctx.shared);
            }
            Command::HalfPageUp => {
                self.offset = self.offset.saturating_sub(half);
                self.select(self.place.saturating_sub(half), ctx.shared);
            }
            Command::First if self.open => self.scroll = 0,
            Command::First => self.rewind(ctx.shared),
            Command::Last => self.select(last, ctx.shared),
            Command::Open | Command::Zoom => {
                self.open = !self.open || command == Command::Open;
                self.scroll = 0;
            }
            Command::Back if self.open => self.open = false,
            Command::Back if !self.filter.is_empty() => {
                let _ = self.set_filter("", ctx);
            }
            Command::Sort | Command::SortReverse => {
                let mut sort = self.view.sort();
                match command {
                    Command::Sort => sort.column = sort.column.next(),
                    _ => sort.descending = !sort.descending,
                }
                self.view.set_sort(sort, &ctx.shared.fleet, ctx.shared.now);
                self.follow(ctx.shared);
            }
            Command::Mark => {
                if let Some(id) = self.row(ctx.shared).map(|row| row.id) {
                    if !self.marks.remove(&id) {
                        self.marks.insert(id);
                    }
                    self.last_mark = Some(id);
                    self.select(self.place + 1, ctx.shared);
                }
            }
            Command::Explain => answers::explain(self, ctx),
            Command::Diff => answers::diff(self, ctx),
            Command::Related => answers::related(self, ctx),
            Command::MarkRange => self.mark_range(ctx),
            Command::MarkClear => self.marks.clear(),
            _ => {}
        }
        self.blank |=
            self.offset != offset && self.rested != self.cursor && self.layout(ctx.shared).wide;
    }

    fn mark_range(&mut self, ctx: &mut Ctx<'_>) {
        let from = self.last_mark.and_then(|id| ctx.shared.fleet.find(id));
        let rows = self.view.rows();
        let Some(from) = rows.iter().position(|row| Some(*row) == from) else {
            return ctx.toast(
                Level::Info,
                "mark one first: the range goes from there to the cursor",
            );
        };
        let range = from.min(self.place)..=from.max(self.place);
        let ids = rows[range]
            .iter()
            .filter_map(|row| ctx.shared.fleet.id(*row));
        self.marks.extend(ids);
    }
}

impl Screen for Credentials {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        match event {
            Event::Command(command) => self.command(*command, ctx),
            Event::Tick(_) if ctx.current == super::ScreenId::Credentials => self.tick(ctx),
            Event::Feed(item) => self.stale |= self.concerns(item),
            Event::Rested if ctx.current == super::ScreenId::Credentials => {
                self.rest();
                self.ask(ctx);
            }
            Event::Cached(..) => self.loading[0] = true,
            Event::Reload(_) => self.loading[1] = true,
            Event::Loaded(false) => self.loading[0] = false,
            Event::Loaded(true) => self.loading = [false; 2],
            Event::Resized(..) => self.keep_in_sight(ctx.shared),
            Event::Reply(id, reply) if self.asked.is_some_and(|(call, _)| call == *id) => {
                let asked = self.asked.take();
                match reply.as_ref() {
                    Ok(Reply::Credential(detail)) => self.detail = Some(detail.clone()),
                    Ok(_) => {}
                    Err(error) => {
                        ctx.failed("the detail could not be fetched", error);
                        // Not asked again until the cursor moves or the credential changes.
                        self.asked = None;
                        if let Some((_, id)) = asked.filter(|(_, id)| self.detail_of(*id).is_none())
                        {
                            self.detail = ctx.shared.fleet.find(id).and_then(|row| {
                                ctx.shared
                                    .fleet
                                    .get(row)
                                    .map(|row| Box::new(detail::unknown(row)))
                            });
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        self.tick(ctx);
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        if let Some(text) = &jump.filter {
            self.open = false;
            if let Err(error) = self.set_filter(text, ctx) {
                ctx.toast(Level::Bad, error.to_string());
            }
        }
        if let Some(id) = jump.id.as_ref().and_then(|id| id.parse().ok()) {
            self.wanted = Some(id);
            self.tick(ctx);
        }
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        draw::view(self, shared, area, frame, theme);
    }

    fn acts(&self, shared: &Shared) -> Vec<Act> {
        acts::acts(self, shared)
    }

    fn act(&mut self, kind: ActKind, ctx: &mut Ctx<'_>) {
        acts::open(self, kind, None, ctx);
    }

    fn act_on(&mut self, kind: ActKind, number: u32, ctx: &mut Ctx<'_>) {
        acts::open(self, kind, Some(number), ctx);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        use Command::*;
        if self.open {
            vec![
                Down,
                NextObject,
                PreviousObject,
                Acts,
                Explain,
                Diff,
                Related,
                Raw,
                TimeFormat,
                CopyId,
                Back,
            ]
        } else {
            vec![
                Down, Open, Filter, Acts, Explain, Related, Sort, Mark, Views, TimeFormat, CopyId,
                Pause,
            ]
        }
    }

    fn available(&self, command: Command, shared: &Shared) -> Available {
        use Command::*;
        let on = self.cursor.is_some();
        match command {
            Open | Mark | Zoom if !on => Err("the list is empty"),
            NextObject | PreviousObject if !self.open => Err("open one first"),
            Explain | Diff | Related if !on => Err("the list is empty"),
            Diff => match self
                .row(shared)
                .and_then(|row| self.detail_of(row.id))
                .map(|detail| detail.versions.is_empty())
            {
                Some(false) => Ok(()),
                Some(true) => Err("its versions are not known: the broker did not say"),
                None => Err("its versions are still on their way"),
            },
            Explain | Related => Ok(()),
            NextPane | PreviousPane => Err(
                "list and detail move together: j and k; enter gives the detail all of the screen",
            ),
            NextSection | PreviousSection => Err("the detail scrolls: enter, then j and k"),
            ZoomIn | ZoomOut | ZoomNow => {
                Err("there is no timeline here: a life bar is one life long")
            }
            MarkClear if self.marks.is_empty() => Err("nothing is marked"),
            Open | Mark | MarkRange | MarkClear | Zoom | NextObject | PreviousObject => Ok(()),
            Sort | SortReverse if shared.fleet.is_empty() => Err("the list is empty"),
            Sort | SortReverse => Ok(()),
            FindNext | FindPrevious => {
                Err("the filter shows matches only: j and k go through them")
            }
            _ => Err("this list has no use for that key"),
        }
    }

    fn subject(&self, shared: &Shared) -> Option<Subject> {
        let row = self.row(shared)?;
        let json = match self.detail_of(row.id) {
            Some(detail) => serde_json::to_string_pretty(detail),
            None => serde_json::to_string_pretty(&row),
        };
        Some(Subject {
            id: row.id.to_string(),
            twin: format!("countersign credential show {}", row.id),
            json: json.expect("wire types serialise"),
            name: row.name,
        })
    }

    fn has_subject(&self, _shared: &Shared) -> bool {
        self.cursor.is_some()
    }

    fn twin(&self, _shared: &Shared) -> String {
        match self.filter.as_str() {
            "" => "countersign credential list".into(),
            filter => format!(
                "countersign credential list --filter '{}'",
                filter.replace('\'', "'\\''")
            ),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, text: &str, ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        let filter = Filter::parse_for::<CredentialRow>(text)?;
        text.clone_into(&mut self.filter);
        self.view
            .set_filter(&filter, &ctx.shared.fleet, ctx.shared.now);
        self.rewind(ctx.shared);
        Ok(())
    }

    fn views(&self) -> &'static [(&'static str, &'static str)] {
        VIEWS
    }

    fn export(&self, shared: &Shared) -> Option<(&'static str, String)> {
        let rows = self
            .view
            .rows()
            .iter()
            .filter_map(|row| shared.fleet.get(*row));
        let lines = rows.filter_map(|row| serde_json::to_string(&row).ok());
        let text: String = lines.map(|line| line + "\n").collect();
        (!text.is_empty()).then_some(("ndjson", text))
    }

    fn unrested(&self) -> bool {
        self.rested != self.cursor || self.blank
    }

    fn busy(&self) -> bool {
        self.view.busy()
    }

    fn tick_s(&self, shared: &Shared) -> Option<u32> {
        Some(draw::tick_s(self, shared))
    }
}
