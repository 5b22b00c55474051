//! Rotation: every version on an axis of time, what is overdue or stuck first; a running rotation with its guard; the
//! weeks ahead; how well cadences are kept.
//!
//! The calendar is asked for as a whole and kept; rows of rotations come with the stream.

pub(in crate::console) mod acts;
mod detail;
mod draw;
/// What is listed, and in which order.
pub mod entries;
mod gantt;
mod plans;

use super::{Act, Jump, Screen, ScreenId, Subject, kit, told::Told};
use crate::console::backend::Frame;
use crate::console::command::{ActKind, Command};
use crate::console::effect::{Call, CallId};
use crate::console::event::{CallError, Event, Level, LinkState, Reply};
use crate::console::model::{Available, Choice, Ctx, Menu, MenuEntry, Overlay, Shared};
use crate::console::theme::Theme;
use crate::wire::filter::{Filter, FilterError};
use crate::wire::{CredentialId, RotationCalendar, RotationDetail, RotationId, RotationRow};
use chrono::{DateTime, TimeDelta, Utc};
use draw::Layout;
use entries::{Entries, Group, Item, Key};
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

/// What is asked for of the past and of the time to come, whatever is shown.
const PAST: TimeDelta = TimeDelta::days(7);
const AHEAD: TimeDelta = TimeDelta::days(35);
/// The longest range that is asked for.
const RANGE_MAX: TimeDelta = TimeDelta::days(390);
/// How old the calendar gets while it is looked at, and how old before news makes it be asked for again: its figures
/// cost the broker a walk over the fleet.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(2);
const NEWS: TimeDelta = TimeDelta::seconds(10);
/// How old the telling of a running rotation gets while it is looked at: readers come with no event.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// Saved views.
const VIEWS: &[(&str, &str)] = &[
    ("all", ""),
    ("overdue", "overdue"),
    ("running", "state:running"),
    ("next 24h", "due<24h & state:scheduled"),
    ("came to nothing", "state=failed | state=rolled_back"),
    ("moved by a freeze", "state:frozen"),
    ("production", "env:prod"),
];

/// What stands below the bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Lower {
    #[default]
    Detail,
    Calendar,
    Compliance,
}

/// What the screen keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    filter: String,
    entries: Entries,
    calendar: Option<Box<RotationCalendar>>,
    asked: Option<CallId>,
    asked_at: Option<DateTime<Utc>>,
    news: bool,
    failed: Option<String>,
    /// What the cursor is on: it follows it, not the place.
    cursor: Option<Key>,
    place: usize,
    /// The first entry that is seen.
    skip: usize,
    rested: Option<Key>,
    wanted: Option<Wanted>,
    detail: Told<RotationId, RotationDetail>,
    lower: Lower,
    open: bool,
    scroll: usize,
    zoom: usize,
    /// Cells to the right of where now stands at a third.
    pan: i64,
}

/// What another screen sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wanted {
    Rotation(RotationId),
    Credential(CredentialId),
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            filter: String::new(),
            entries: Entries::default(),
            calendar: None,
            asked: None,
            asked_at: None,
            news: false,
            failed: None,
            cursor: None,
            place: 0,
            skip: 0,
            rested: None,
            wanted: None,
            detail: Told::default(),
            lower: Lower::Detail,
            open: false,
            scroll: 0,
            zoom: gantt::USUAL,
            pan: 0,
        }
    }
}

impl Rotation {
    fn parsed(&self) -> Filter {
        Filter::parse_for::<RotationRow>(&self.filter).unwrap_or_default()
    }

    /// The rotations that are known, for the screens that offer the same acts.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    fn window(&self, shared: &Shared) -> gantt::Window {
        let cells = gantt::cells_of(kit::body(shared).width.into());
        gantt::Window::new(shared.now, self.zoom, self.pan, cells)
    }

    fn item(&self) -> Option<Item<'_>> {
        self.entries.get(self.cursor?)
    }

    fn told(&self) -> Option<Item<'_>> {
        let key = if self.open { self.cursor } else { self.rested };
        self.entries.get(key?)
    }

    fn detail_of(&self, id: RotationId) -> Option<&RotationDetail> {
        self.detail.of(id)
    }

    /// The detail of what the cursor is on, if it is a rotation and has come.
    fn detail_here(&self) -> Option<&RotationDetail> {
        match self.item()? {
            Item::Rotation(row) => self.detail_of(row.id),
            Item::Planned(_) => None,
        }
    }

    /// The range that covers what is shown, and the weeks around now.
    fn range(&self, shared: &Shared) -> (DateTime<Utc>, DateTime<Utc>) {
        let window = self.window(shared);
        let day = |at: DateTime<Utc>| {
            let seconds = at.timestamp().div_euclid(86_400) * 86_400;
            DateTime::from_timestamp(seconds, 0).unwrap_or(at)
        };
        let from = day((shared.now - PAST).min(window.from));
        let until = day((shared.now + AHEAD).max(window.until()) + TimeDelta::days(1));
        (from.max(until - RANGE_MAX), until)
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let (from, until) = self.range(ctx.shared);
        self.news = false;
        self.failed = None;
        self.asked_at = Some(ctx.shared.now);
        self.asked = Some(ctx.call(Call::Rotations { from, until }));
    }

    fn follow(&mut self, ctx: &mut Ctx<'_>) {
        if !matches!(ctx.shared.link, LinkState::Live { .. }) || ctx.shared.paused {
            return;
        }
        let now = ctx.shared.now;
        let old = |at: Option<DateTime<Utc>>, most: TimeDelta| at.is_none_or(|at| now - at >= most);
        let (from, until) = self.range(ctx.shared);
        let covered = (self.calendar.as_ref())
            .is_some_and(|calendar| calendar.from <= from && until <= calendar.until);
        let due =
            !covered || old(self.asked_at, LOOK_AGAIN) || (self.news && old(self.asked_at, NEWS));
        if due && self.asked.is_none() && self.failed.is_none() {
            self.ask(ctx);
        }
        let Some(Item::Rotation(row)) = self.told() else {
            return;
        };
        let (id, sequence, running) = (row.id, row.sequence, row.ended_at.is_none());
        let current = |detail: &RotationDetail| detail.row.sequence >= sequence;
        if self
            .detail
            .is_due(id, current, running.then_some(FRESH), now)
        {
            self.detail.renew(ctx.call(Call::Rotation(id)), id);
        }
    }

    /// Whether a group begins here.
    fn heads(&self, place: usize) -> bool {
        let order = self.entries.order();
        place == self.skip || place == 0 || order[place - 1].0 != order[place].0
    }

    fn select(&mut self, place: usize, shared: &Shared) {
        let order = self.entries.order();
        self.place = place.min(order.len().saturating_sub(1));
        self.cursor = order.get(self.place).map(|(_, key)| *key);
        let area = kit::body(shared);
        let rows = Layout::of(area, false).rows();
        let wide = area.width >= draw::WIDE;
        self.skip = self.skip.min(self.place);
        // From the cursor upwards, as many as there is room for.
        let mut needed = 0;
        let mut first = self.place;
        for at in (self.skip..=self.place).rev() {
            let (group, key) = order[at.min(order.len().saturating_sub(1))];
            let lines = self
                .entries
                .get(key)
                .map_or(0, |item| item.lines(shared.now));
            let above = at.checked_sub(1).and_then(|above| order.get(above));
            let heads = wide && above.is_none_or(|(other, _)| *other != group);
            needed += lines + usize::from(heads);
            // The first that is seen has its group above it.
            if needed + usize::from(wide && !heads) > rows && at < self.place {
                break;
            }
            first = at;
        }
        self.skip = first;
    }

    fn settle(&mut self, shared: &Shared) {
        if self.entries.settle(&self.parsed(), shared.now) {
            let order = self.entries.order();
            let found = order.iter().position(|(_, key)| Some(*key) == self.cursor);
            let place = found.unwrap_or(self.place);
            if order.is_empty() {
                (self.place, self.skip, self.cursor) = (0, 0, None);
            } else {
                self.select(place, shared);
            }
        }
    }

    fn show_wanted(&mut self, ctx: &mut Ctx<'_>) {
        let key = match self.wanted {
            None => return,
            Some(Wanted::Rotation(id)) => Some(Key::Rotation(id)),
            Some(Wanted::Credential(id)) => self.entries.of(id),
        };
        let Some(key) = key.filter(|key| self.entries.get(*key).is_some()) else {
            if self.calendar.is_some() && self.asked.is_none() && !self.detail.is_asking() {
                self.wanted = None;
                ctx.toast(Level::Info, "no rotation of it is under way or planned");
            }
            return;
        };
        self.wanted = None;
        if !self.entries.order().iter().any(|(_, other)| *other == key) {
            self.filter.clear();
            self.entries.anew();
        }
        self.cursor = Some(key);
        self.settle(ctx.shared);
        let order = self.entries.order();
        let place = order.iter().position(|(_, other)| *other == key);
        self.select(place.unwrap_or(0), ctx.shared);
        (self.lower, self.scroll) = (Lower::Detail, 0);
    }

    fn tick(&mut self, ctx: &mut Ctx<'_>) {
        if !ctx.frozen {
            self.settle(ctx.shared);
        }
        self.show_wanted(ctx);
        let bound = matches!(ctx.overlay, Some(Overlay::Menu(_) | Overlay::Sheet(_)));
        if self.rested.is_none() || self.open || bound {
            self.rest();
        }
        self.follow(ctx);
    }

    fn rest(&mut self) {
        if self.rested != self.cursor {
            self.rested = self.cursor;
            self.detail.forgive();
            if self.lower == Lower::Detail {
                self.scroll = 0;
            }
        }
    }

    fn arrived(&mut self, id: CallId, reply: &Result<Reply, CallError>, ctx: &mut Ctx<'_>) {
        if self.asked == Some(id) {
            self.asked = None;
            match reply {
                Ok(Reply::Rotations(calendar)) => {
                    self.entries.take(calendar);
                    self.calendar = Some(calendar.clone());
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed = Some(error.detail.clone());
                    ctx.failed("rotations", error);
                }
            }
            if ctx.current == ScreenId::Rotation && !ctx.frozen {
                self.settle(ctx.shared);
            }
        } else if let Some(of) = self.detail.answered(id) {
            match reply {
                Ok(Reply::Rotation(detail)) => {
                    self.entries.put(&detail.row);
                    self.detail
                        .put(detail.row.id, detail.clone(), ctx.shared.now);
                }
                Ok(_) => {}
                Err(error) => {
                    ctx.failed("the rotation could not be read", error);
                    self.detail.failed(of, &error.detail);
                    self.wanted = self.wanted.filter(|wanted| *wanted != Wanted::Rotation(of));
                }
            }
        }
    }

    fn scroll(&mut self, by: isize, shared: &Shared) {
        let theme = kit::theme_of(shared);
        let area = Layout::of(kit::body(shared), self.open).lower;
        let lines = draw::lower_lines(self, shared, &theme, area.width.into()).len();
        let last = lines.saturating_sub(area.height.into());
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
    }

    fn step(&mut self, by: isize, ctx: &mut Ctx<'_>) {
        if self.entries.order().is_empty() {
            return;
        }
        self.select(self.place.saturating_add_signed(by), ctx.shared);
        if self.open {
            self.rest();
            self.follow(ctx);
        }
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = isize::try_from(Layout::of(kit::body(ctx.shared), false).rows() / 4)
            .unwrap_or(1)
            .max(1);
        let far = 1 << 20;
        let eighth = i64::try_from(self.window(ctx.shared).cells / 8)
            .unwrap_or(1)
            .max(1);
        match command {
            Command::Down if self.open => self.scroll(1, ctx.shared),
            Command::Up if self.open => self.scroll(-1, ctx.shared),
            Command::HalfPageDown if self.open => self.scroll(8, ctx.shared),
            Command::HalfPageUp if self.open => self.scroll(-8, ctx.shared),
            Command::First if self.open => self.scroll(-far, ctx.shared),
            Command::Last if self.open => self.scroll(far, ctx.shared),
            Command::Down | Command::NextObject => self.step(1, ctx),
            Command::Up | Command::PreviousObject => self.step(-1, ctx),
            Command::HalfPageDown => self.step(half, ctx),
            Command::HalfPageUp => self.step(-half, ctx),
            Command::First => self.step(-far, ctx),
            Command::Last => self.step(far, ctx),
            // A year to either side is more than the broker tells of.
            Command::Left => self.pan = (self.pan - eighth).max(-2_000),
            Command::Right => self.pan = (self.pan + eighth).min(2_000),
            Command::ZoomIn => self.zoom_by(-1),
            Command::ZoomOut => self.zoom_by(1),
            Command::ZoomNow => (self.pan, self.zoom) = (0, gantt::USUAL),
            Command::NextPane | Command::PreviousPane => {
                use Lower::{Calendar, Compliance, Detail};
                self.lower = match (self.lower, command) {
                    (Detail, Command::NextPane) | (Compliance, Command::PreviousPane) => Calendar,
                    (Calendar, Command::NextPane) | (Detail, Command::PreviousPane) => Compliance,
                    _ => Detail,
                };
                self.scroll = 0;
            }
            Command::Open if self.open && self.lower == Lower::Detail => {
                if let Some(item) = self.item() {
                    ctx.go(Jump {
                        screen: ScreenId::Credentials,
                        id: Some(item.credential().to_string()),
                        filter: None,
                    });
                }
            }
            Command::Open | Command::Zoom => {
                self.open = !self.open || command == Command::Open;
                self.scroll = 0;
                self.rest();
            }
            Command::Back if self.open => (self.open, self.scroll) = (false, 0),
            Command::Back if self.lower != Lower::Detail => self.lower = Lower::Detail,
            Command::Back if !self.filter.is_empty() => {
                let _ = self.set_filter("", ctx);
            }
            Command::Sort | Command::SortReverse => {
                let (sort, reversed) = self.entries.sort();
                match command {
                    Command::Sort => self.entries.set_sort(sort.next(), reversed),
                    _ => self.entries.set_sort(sort, !reversed),
                }
                self.settle(ctx.shared);
            }
            Command::Explain => {
                let Some(item) = self.item() else { return };
                let theme = kit::theme_of(ctx.shared);
                let look = kit::Look::new(ctx.shared, &theme);
                let lines = detail::explain(item, self.detail_here(), &look);
                let title = format!("WHY  {}", item.name());
                *ctx.overlay = Some(Overlay::Page(title, lines, 0));
            }
            Command::Related => self.related(ctx),
            _ => {}
        }
    }

    fn zoom_by(&mut self, by: isize) {
        let before = gantt::CELLS_S[self.zoom];
        let last = gantt::CELLS_S.len() - 1;
        self.zoom = self.zoom.saturating_add_signed(by).min(last);
        // The same time stays where it was.
        self.pan = self.pan * before / gantt::CELLS_S[self.zoom];
    }

    fn related(&self, ctx: &mut Ctx<'_>) {
        let Some(item) = self.item() else { return };
        let credential = item.credential();
        let mut entries = vec![
            (
                "credential",
                item.name().to_owned(),
                ScreenId::Credentials,
                Some(credential.to_string()),
                None,
            ),
            (
                "its records",
                "every record about the credential".to_owned(),
                ScreenId::Audit,
                None,
                Some(format!("subject={credential}")),
            ),
        ];
        if let Item::Rotation(row) = item {
            entries.push((
                "audit trail",
                "every record about this rotation".to_owned(),
                ScreenId::Audit,
                None,
                Some(format!("subject={}", row.id)),
            ));
        }
        let entries = entries.into_iter().zip('1'..='9');
        let entries = entries.map(|((label, note, screen, id, filter), key)| MenuEntry {
            key,
            label: label.into(),
            note,
            refused: None,
            does: Choice::Jump(Jump { screen, id, filter }),
        });
        *ctx.overlay = Some(Overlay::Menu(Menu {
            title: format!("WHAT BELONGS TO {}", item.name()),
            entries: entries.collect(),
            cursor: Some(0),
        }));
    }
}

impl Screen for Rotation {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        let here = ctx.current == ScreenId::Rotation;
        match event {
            Event::Command(command) => self.command(*command, ctx),
            Event::Tick(_) if here => self.tick(ctx),
            Event::Rested if here => {
                self.rest();
                self.follow(ctx);
            }
            Event::Feed(item) => {
                if let Some(row) = &item.rotation {
                    // Before the calendar is here there is nothing that the row would complete.
                    if self.calendar.is_some() {
                        self.entries.put(row);
                    }
                    self.news = true;
                    self.detail.changed(row.id);
                }
            }
            Event::Link(LinkState::Live { .. }) => {
                self.news = true;
                self.detail.outdate();
                self.failed = None;
            }
            Event::Reply(id, reply) => self.arrived(*id, reply, ctx),
            Event::Resized(..) if !self.entries.order().is_empty() => {
                self.select(self.place, ctx.shared);
            }
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        self.failed = None;
        self.detail.forgive();
        self.tick(ctx);
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        if let Some(text) = &jump.filter {
            self.open = false;
            if let Err(error) = self.set_filter(text, ctx) {
                ctx.toast(Level::Bad, error.to_string());
            }
        }
        let Some(id) = &jump.id else { return };
        self.wanted = match (id.parse(), id.parse()) {
            (Ok(rotation), _) => Some(Wanted::Rotation(rotation)),
            (_, Ok(credential)) => Some(Wanted::Credential(credential)),
            _ => None,
        };
        if let Some(Wanted::Rotation(id)) = self.wanted
            && self.entries.get(Key::Rotation(id)).is_none()
            && !self.detail.is_asking()
        {
            self.detail.ask(ctx.call(Call::Rotation(id)), id);
        }
        self.tick(ctx);
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        draw::view(self, shared, area, frame, theme);
    }

    fn acts(&self, shared: &Shared) -> Vec<Act> {
        let credential = self.item().map(Item::credential);
        let row = credential.and_then(|id| acts::credential(id, shared));
        row.map_or_else(Vec::new, |row| acts::acts(&row, &self.entries, shared))
    }

    fn act(&mut self, kind: ActKind, ctx: &mut Ctx<'_>) {
        let credential = self.item().map(Item::credential);
        let Some(row) = credential.and_then(|id| acts::credential(id, ctx.shared)) else {
            return;
        };
        let sheet = acts::open(kind, &row, &self.entries, self.detail_here(), ctx.shared);
        if let Some(sheet) = sheet {
            ctx.sheet(sheet);
        }
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        use Command::*;
        if self.open {
            return vec![
                Down,
                NextObject,
                PreviousObject,
                Open,
                NextPane,
                Acts,
                Explain,
                Related,
                Raw,
                TimeFormat,
                CopyId,
                Back,
            ];
        }
        vec![
            Down, Open, NextPane, Left, ZoomOut, Filter, Acts, Explain, Sort, Views, TimeFormat,
            CopyId, Related, Watch,
        ]
    }

    fn available(&self, command: Command, _shared: &Shared) -> Available {
        use Command::*;
        let on = self.item().is_some();
        match command {
            Open | Zoom if !on && self.lower == Lower::Detail => Err("the list is empty"),
            Open | Zoom | NextPane | PreviousPane | ZoomIn | ZoomOut | ZoomNow => Ok(()),
            NextObject | PreviousObject if !self.open => Err("open one first"),
            NextObject | PreviousObject => Ok(()),
            Explain | Related if !on => Err("the list is empty"),
            Explain | Related => Ok(()),
            Sort | SortReverse if self.entries.order().is_empty() => Err("the list is empty"),
            Sort | SortReverse => Ok(()),
            Diff => Err("versions are compared on the credential's screen: enter twice, then d"),
            Mark | MarkRange | MarkClear => {
                Err("one is rotated at a time here; several, in order: countersign rotation start")
            }
            FindNext | FindPrevious => {
                Err("the filter shows matches only: j and k go through them")
            }
            _ => Err("tab goes round: the rotation, the calendar, the compliance"),
        }
    }

    fn subject(&self, _shared: &Shared) -> Option<Subject> {
        match self.item()? {
            Item::Rotation(row) => {
                let json = match self.detail_of(row.id) {
                    Some(detail) => serde_json::to_string_pretty(detail),
                    None => serde_json::to_string_pretty(row),
                };
                Some(Subject {
                    id: row.id.to_string(),
                    name: row.credential_name.clone(),
                    twin: format!("countersign rotation show {}", row.id),
                    json: json.unwrap_or_default(),
                })
            }
            Item::Planned(row) => Some(Subject {
                id: row.credential.to_string(),
                name: row.credential_name.clone(),
                twin: format!("countersign credential show {}", row.credential),
                json: serde_json::to_string_pretty(row).unwrap_or_default(),
            }),
        }
    }

    fn has_subject(&self, _shared: &Shared) -> bool {
        self.item().is_some()
    }

    fn twin(&self, _shared: &Shared) -> String {
        match self.lower {
            Lower::Detail => "countersign rotation list",
            Lower::Calendar => "countersign rotation calendar",
            Lower::Compliance => "countersign rotation compliance",
        }
        .into()
    }

    fn badge(&self, _shared: &Shared) -> Option<u64> {
        let trouble = self.entries.count(Group::Trouble) as u64;
        Some(trouble).filter(|trouble| *trouble > 0 && self.filter.is_empty())
    }

    fn kept_at(&self, _shared: &Shared) -> Option<DateTime<Utc>> {
        None
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, text: &str, ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        Filter::parse_for::<RotationRow>(text)?;
        if self.filter != text {
            text.clone_into(&mut self.filter);
            self.entries.anew();
            self.settle(ctx.shared);
            if !self.entries.order().is_empty() {
                self.select(0, ctx.shared);
            }
        }
        Ok(())
    }

    fn views(&self) -> &'static [(&'static str, &'static str)] {
        VIEWS
    }

    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        let lines: String = self
            .entries
            .order()
            .iter()
            .filter_map(|(_, key)| self.entries.get(*key))
            .filter_map(|item| match item {
                Item::Rotation(row) => serde_json::to_string(row).ok(),
                Item::Planned(row) => serde_json::to_string(row).ok(),
            })
            .map(|line| line + "\n")
            .collect();
        (!lines.is_empty()).then_some(("ndjson", lines))
    }

    fn unrested(&self) -> bool {
        self.rested != self.cursor
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        Some(if self.entries.count(Group::Running) > 0 {
            10
        } else {
            60
        })
    }
}
