//! Revocations and the gateways: what was withdrawn, who refuses it by now, who does not yet, and since when.
//!
//! The list keeps the latest, and all that are not everywhere yet, however old. Rows come with the stream; one
//! revocation, gateway by gateway, is asked for where the cursor rests.

mod acts;
mod detail;
mod draw;
mod gateways;
mod rows;

use super::{Act, Jump, Screen, ScreenId, Subject, kit, told::Told};
use crate::console::backend::Frame;
use crate::console::command::{ActKind, Command};
use crate::console::effect::{Call, CallId};
use crate::console::event::{CallError, Event, Level, LinkState, Reply};
use crate::console::model::{Available, Choice, Ctx, Menu, MenuEntry, Overlay, Shared};
use crate::console::theme::Theme;
use crate::wire::filter::{Filter, FilterError};
use crate::wire::{FeedItem, GatewayId, GatewayRow, RevocationDetail, RevocationId, RevocationRow};
use chrono::{DateTime, TimeDelta, Utc};
use ratatui::layout::Rect;
use rows::Rows;
use serde::{Deserialize, Serialize};

/// What is not everywhere yet.
const OPEN: &str = "state=effective | state=propagating";
/// From this width on the gateways stand beside the list.
const WIDE: u16 = 110;
/// How old the telling of something open gets while it is looked at.
const FRESH: TimeDelta = TimeDelta::seconds(5);
/// How old the gateways, and the list of what is open, get while they are looked at: passing time makes them late.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(10);

/// Saved views.
const VIEWS: &[(&str, &str)] = &[
    ("all", ""),
    ("not everywhere yet", OPEN),
    ("over the goal", "state=late"),
    ("issuer not done", "state=pending"),
    ("today", "age<24h"),
];

/// What the keys move about in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Pane {
    #[default]
    Revocations,
    Gateways,
}

/// What the screen keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Revocations {
    filter: String,
    rows: Rows,
    /// How many the broker has that match.
    total: u64,
    /// Where older ones go on.
    next: Option<String>,
    asked: Option<CallId>,
    open_asked: Option<CallId>,
    open_at: Option<DateTime<Utc>>,
    loaded: bool,
    failed: Option<String>,
    pane: Pane,
    /// The revocation that the cursor is on: it follows it, not the place.
    pub cursor: Option<RevocationId>,
    place: usize,
    offset: usize,
    /// The one that the detail tells of: the cursor's, once it has rested there.
    rested: Option<RevocationId>,
    /// To be shown as soon as it is known.
    wanted: Option<RevocationId>,
    detail: Told<RevocationId, RevocationDetail>,
    /// The detail has the whole screen.
    open: bool,
    scroll: usize,
    gateways: Vec<GatewayRow>,
    gateways_asked: Option<CallId>,
    gateways_at: Option<DateTime<Utc>>,
    gateways_stale: bool,
    gateways_refused: Option<String>,
    gateway: Option<GatewayId>,
    gateways_offset: usize,
}

/// Where everything stands.
struct Layout {
    list: Rect,
    gateways: Rect,
    summary: Rect,
    detail: Rect,
    wide: bool,
}

impl Layout {
    fn of(area: Rect, screen: &Revocations) -> Self {
        let wide = area.width >= WIDE;
        let empty = Rect { height: 0, ..area };
        let mut layout = Self {
            list: empty,
            gateways: empty,
            summary: empty,
            detail: area,
            wide,
        };
        if screen.open {
            return layout;
        }
        let rows = match (wide, screen.pane) {
            (false, Pane::Gateways) => screen.gateways.len(),
            (false, Pane::Revocations) => screen.rows.order().len(),
            (true, _) => screen.rows.order().len().max(screen.gateways.len()),
        };
        // A rule and heads, and at most about a third of the screen for rows.
        let most = area.height * 2 / 5;
        let rows = u16::try_from(rows).unwrap_or(u16::MAX);
        let height = rows
            .saturating_add(2)
            .clamp(4, most.max(4))
            .min(area.height);
        layout.list = Rect { height, ..area };
        let mut y = area.y + height;
        if wide {
            layout.list.width = area.width * 61 / 100;
            layout.gateways = Rect {
                x: layout.list.right() + 3,
                width: area.width - layout.list.width - 3,
                ..layout.list
            };
        } else {
            layout.summary = Rect {
                y,
                height: 1,
                ..area
            };
            y += 1;
        }
        layout.detail = Rect {
            y,
            height: area.bottom().saturating_sub(y),
            ..area
        };
        layout
    }
}

impl Revocations {
    fn layout(&self, shared: &Shared) -> Layout {
        Layout::of(kit::body(shared), self)
    }

    fn parsed(&self) -> Filter {
        Filter::parse_for::<RevocationRow>(&self.filter).unwrap_or_default()
    }

    fn row(&self) -> Option<&RevocationRow> {
        self.rows.get(self.cursor?)
    }

    fn told(&self) -> Option<&RevocationRow> {
        let id = if self.open { self.cursor } else { self.rested };
        self.rows.get(id?)
    }

    fn detail_of(&self, id: RevocationId) -> Option<&RevocationDetail> {
        self.detail.of(id)
    }

    fn gateway_row(&self) -> Option<&GatewayRow> {
        self.gateways
            .get(gateways::place(&self.gateways, self.gateway))
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        self.failed = None;
        let call = Call::Revocations {
            filter: self.filter.clone(),
            cursor: None,
        };
        self.next = None;
        self.asked = Some(ctx.call(call));
    }

    fn ask_older(&mut self, ctx: &mut Ctx<'_>) {
        if self.asked.is_some() || self.next.is_none() || self.rows.len() >= rows::KEPT {
            return;
        }
        let call = Call::Revocations {
            filter: self.filter.clone(),
            cursor: self.next.clone(),
        };
        self.asked = Some(ctx.call(call));
    }

    fn ask_open(&mut self, ctx: &mut Ctx<'_>) {
        self.open_at = Some(ctx.shared.now);
        let call = Call::Revocations {
            filter: OPEN.to_owned(),
            cursor: None,
        };
        self.open_asked = Some(ctx.call(call));
    }

    /// Asks for what is not here or has become old; each question once at a time.
    fn follow(&mut self, ctx: &mut Ctx<'_>) {
        if !matches!(ctx.shared.link, LinkState::Live { .. }) || ctx.shared.paused {
            return;
        }
        let now = ctx.shared.now;
        let old = |at: Option<DateTime<Utc>>, most: TimeDelta| at.is_none_or(|at| now - at >= most);
        if self.rows.open() > 0 && self.open_asked.is_none() && old(self.open_at, LOOK_AGAIN) {
            self.ask_open(ctx);
        }
        // A hundred revocations a second are no reason to ask a hundred times.
        let news = self.gateways_stale && old(self.gateways_at, TimeDelta::seconds(1));
        let stale = old(self.gateways_at, LOOK_AGAIN) || news;
        if stale && self.gateways_asked.is_none() && self.gateways_refused.is_none() {
            self.gateways_stale = false;
            self.gateways_asked = Some(ctx.call(Call::Gateways));
        }
        let Some(row) = self.told() else { return };
        let (id, sequence, open) = (row.id, row.sequence, rows::is_open(row));
        let current = |detail: &RevocationDetail| detail.row.sequence >= sequence;
        if self.detail.is_due(id, current, open.then_some(FRESH), now) {
            self.detail.renew(ctx.call(Call::Revocation(id)), id);
        }
    }

    fn rows_height(&self, shared: &Shared) -> usize {
        usize::from(self.layout(shared).list.height)
            .saturating_sub(2)
            .max(1)
    }

    fn select(&mut self, place: usize, shared: &Shared) {
        let order = self.rows.order();
        self.place = place.min(order.len().saturating_sub(1));
        self.cursor = order.get(self.place).copied();
        let height = self.rows_height(shared);
        self.offset = kit::scrolled(self.offset, self.place, height, self.rows.order().len());
    }

    /// Brings the order up to date; the cursor stays with its revocation, or near its place if that has gone.
    fn settle(&mut self, shared: &Shared) {
        if self.rows.settle(&self.parsed(), shared.now) {
            let order = self.rows.order();
            let found = order.iter().position(|id| Some(*id) == self.cursor);
            self.select(found.unwrap_or(self.place), shared);
        }
    }

    fn tick(&mut self, ctx: &mut Ctx<'_>) {
        if !ctx.frozen {
            self.settle(ctx.shared);
        }
        if let Some(id) = self.wanted.filter(|id| self.rows.get(*id).is_some()) {
            self.wanted = None;
            if !self.rows.order().contains(&id) {
                self.filter.clear();
                self.rows.anew();
            }
            self.cursor = Some(id);
            self.settle(ctx.shared);
            let order = self.rows.order();
            let place = order.iter().position(|other| *other == id);
            self.select(place.unwrap_or(0), ctx.shared);
            (self.pane, self.open, self.scroll) = (Pane::Revocations, true, 0);
        }
        let bound = matches!(ctx.overlay, Some(Overlay::Menu(_) | Overlay::Sheet(_)));
        if self.rested.is_none() || self.open || bound {
            self.rest();
        }
        self.follow(ctx);
    }

    fn rest(&mut self) {
        if self.rested != self.cursor {
            self.rested = self.cursor;
            self.scroll = 0;
            self.detail.forgive();
        }
    }

    fn fed(&mut self, item: &FeedItem) {
        let kind = item.event.kind.as_str();
        if let Some(row) = &item.revocation {
            self.total += u64::from(self.loaded && kind == "revocation.effective");
            self.rows.put(row);
            self.detail.changed(row.id);
        }
        self.gateways_stale |= kind.starts_with("gateway.") || kind.starts_with("revocation.");
    }

    fn arrived(&mut self, id: CallId, reply: &Result<Reply, CallError>, ctx: &mut Ctx<'_>) {
        if self.asked == Some(id) || self.open_asked == Some(id) {
            let list = self.asked == Some(id);
            if list {
                self.asked = None;
            } else {
                self.open_asked = None;
            }
            match reply {
                Ok(Reply::Revocations(page)) => {
                    page.items.iter().for_each(|row| self.rows.put(row));
                    if list {
                        self.loaded = true;
                        self.total = page.total;
                        self.next.clone_from(&page.next);
                        // What is older than the page and still open is not to be missed.
                        if page.next.is_some() && self.open_asked.is_none() {
                            self.ask_open(ctx);
                        }
                    }
                }
                Ok(_) => {}
                Err(error) if list => {
                    self.failed = Some(error.detail.clone());
                    ctx.failed("revocations", error);
                }
                Err(_) => {}
            }
            if ctx.current == ScreenId::Revocations && !ctx.frozen {
                self.settle(ctx.shared);
            }
        } else if self.gateways_asked == Some(id) {
            self.gateways_asked = None;
            self.gateways_at = Some(ctx.shared.now);
            match reply {
                Ok(Reply::Gateways(page)) if !ctx.frozen || self.gateways.is_empty() => {
                    self.gateways = gateways::sorted(&page.items);
                    let place = gateways::place(&self.gateways, self.gateway);
                    self.select_gateway(place, ctx.shared);
                }
                Ok(_) => {}
                // Who may not see them is told so in their place, once.
                Err(error) => self.gateways_refused = Some(error.detail.clone()),
            }
        } else if let Some(of) = self.detail.answered(id) {
            match reply {
                Ok(Reply::Revocation(detail)) => {
                    self.rows.put(&detail.row);
                    self.detail
                        .put(detail.row.id, detail.clone(), ctx.shared.now);
                }
                Ok(_) => {}
                Err(error) => {
                    ctx.failed("the revocation could not be read", error);
                    self.wanted = self.wanted.filter(|wanted| *wanted != of);
                    self.detail.failed(of, &error.detail);
                }
            }
        }
    }

    fn select_gateway(&mut self, place: usize, shared: &Shared) {
        let place = place.min(self.gateways.len().saturating_sub(1));
        self.gateway = self.gateways.get(place).map(|row| row.id);
        let layout = self.layout(shared);
        let area = if layout.wide {
            layout.gateways
        } else {
            layout.list
        };
        let height = usize::from(area.height).saturating_sub(2).max(1);
        let offset = self.gateways_offset;
        self.gateways_offset = kit::scrolled(offset, place, height, self.gateways.len());
    }

    fn scroll(&mut self, by: isize, shared: &Shared) {
        let theme = kit::theme_of(shared);
        let area = self.layout(shared).detail;
        let lines = draw::detail_lines(self, shared, &theme, area.width.into()).len();
        let last = lines.saturating_sub(area.height.into());
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
    }

    fn step(&mut self, by: isize, ctx: &mut Ctx<'_>) {
        if self.pane == Pane::Gateways {
            let place = gateways::place(&self.gateways, self.gateway);
            self.scroll = 0;
            return self.select_gateway(place.saturating_add_signed(by), ctx.shared);
        }
        self.select(self.place.saturating_add_signed(by), ctx.shared);
        if self.place + 50 >= self.rows.order().len() {
            self.ask_older(ctx);
        }
        // What it is on is told at once where it is all that is seen.
        if self.open {
            self.rest();
            self.follow(ctx);
        }
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = isize::try_from(self.rows_height(ctx.shared) / 2)
            .unwrap_or(1)
            .max(1);
        let far = 1 << 20;
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
            Command::NextPane | Command::PreviousPane => {
                self.pane = match self.pane {
                    Pane::Revocations => Pane::Gateways,
                    Pane::Gateways => Pane::Revocations,
                };
                self.scroll = 0;
                let place = gateways::place(&self.gateways, self.gateway);
                self.select_gateway(place, ctx.shared);
                self.select(self.place, ctx.shared);
            }
            Command::Open if self.open && self.pane == Pane::Revocations => {
                if let Some(row) = self.row() {
                    let id = Some(row.credential.to_string());
                    ctx.go(Jump {
                        screen: ScreenId::Credentials,
                        id,
                        filter: None,
                    });
                }
            }
            Command::Open | Command::Zoom => {
                self.open = !self.open || command == Command::Open;
                self.scroll = 0;
                self.rest();
                self.follow(ctx);
            }
            Command::Back if self.open => (self.open, self.scroll) = (false, 0),
            Command::Back if self.pane == Pane::Gateways => self.pane = Pane::Revocations,
            Command::Back if !self.filter.is_empty() => {
                let _ = self.set_filter("", ctx);
            }
            Command::Sort | Command::SortReverse => {
                let (sort, reversed) = self.rows.sort();
                match command {
                    Command::Sort => self.rows.set_sort(sort.next(), reversed),
                    _ => self.rows.set_sort(sort, !reversed),
                }
                self.settle(ctx.shared);
            }
            Command::Explain => self.explain(ctx),
            Command::Related => self.related(ctx),
            _ => {}
        }
    }

    fn explain(&self, ctx: &mut Ctx<'_>) {
        let Some(detail) = self.told().and_then(|row| self.detail_of(row.id)) else {
            return;
        };
        let theme = kit::theme_of(ctx.shared);
        let look = kit::Look::new(ctx.shared, &theme);
        let title = format!("WHY  {}", detail.row.credential_name);
        *ctx.overlay = Some(Overlay::Page(title, detail::explain(detail, &look), 0));
    }

    fn related(&self, ctx: &mut Ctx<'_>) {
        let Some(row) = self.row() else { return };
        let way = |key: char, label: &str, note: String, screen, id, filter| MenuEntry {
            key,
            label: label.into(),
            note,
            refused: None,
            does: Choice::Jump(Jump { screen, id, filter }),
        };
        let name = &row.credential_name;
        let entries = vec![
            way(
                '1',
                "credential",
                name.clone(),
                ScreenId::Credentials,
                Some(row.credential.to_string()),
                None,
            ),
            way(
                '2',
                "audit trail",
                "every record about this revocation".into(),
                ScreenId::Audit,
                None,
                Some(format!("subject={}", row.id)),
            ),
            way(
                '3',
                "its credential's",
                "every record about the credential".into(),
                ScreenId::Audit,
                None,
                Some(format!("subject={}", row.credential)),
            ),
            way(
                '4',
                "revocations",
                format!("every revocation by {}", row.by),
                ScreenId::Revocations,
                None,
                Some(format!("by=\"{}\"", row.by)),
            ),
        ];
        *ctx.overlay = Some(Overlay::Menu(Menu {
            title: format!("WHAT BELONGS TO {name}"),
            entries,
            cursor: Some(0),
        }));
    }
}

impl Screen for Revocations {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        let here = ctx.current == ScreenId::Revocations;
        match event {
            Event::Command(command) => self.command(*command, ctx),
            Event::Tick(_) if here => self.tick(ctx),
            Event::Rested if here => {
                self.rest();
                self.follow(ctx);
            }
            Event::Feed(item) => self.fed(item),
            Event::Link(LinkState::Live { .. }) => {
                // What was missed meanwhile is asked for; the tab's number is wanted in any case.
                self.detail.outdate();
                self.gateways_refused = None;
                if self.loaded && self.asked.is_none() {
                    self.ask(ctx);
                }
                if self.open_asked.is_none() {
                    self.ask_open(ctx);
                }
            }
            Event::Reply(id, reply) => self.arrived(*id, reply, ctx),
            Event::Resized(..) => {
                self.select(self.place, ctx.shared);
                let place = gateways::place(&self.gateways, self.gateway);
                self.select_gateway(place, ctx.shared);
            }
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        let again = self.failed.is_some() || self.detail.has_failed();
        if again {
            self.detail.forgive();
        }
        if (!self.loaded || again) && self.asked.is_none() {
            self.ask(ctx);
        }
        self.gateways_refused = None;
        self.tick(ctx);
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        if let Some(text) = &jump.filter {
            (self.open, self.pane) = (false, Pane::Revocations);
            if let Err(error) = self.set_filter(text, ctx) {
                ctx.toast(Level::Bad, error.to_string());
            }
        }
        let Some(id) = &jump.id else { return };
        if let Ok(id) = id.parse::<GatewayId>() {
            (self.pane, self.gateway, self.open) = (Pane::Gateways, Some(id), false);
        } else if let Ok(id) = id.parse::<RevocationId>() {
            self.wanted = Some(id);
            if self.rows.get(id).is_none() && !self.detail.is_asking() {
                self.detail.ask(ctx.call(Call::Revocation(id)), id);
            }
            self.tick(ctx);
        }
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        draw::view(self, shared, area, frame, theme);
    }

    fn acts(&self, shared: &Shared) -> Vec<Act> {
        match self.pane {
            Pane::Gateways => self.gateway_row().map(|row| acts::on_gateway(row, shared)),
            Pane::Revocations => self.row().map(|row| acts::on_revocation(row, shared)),
        }
        .unwrap_or_default()
    }

    fn act(&mut self, kind: ActKind, ctx: &mut Ctx<'_>) {
        match self.pane {
            Pane::Gateways => {
                if let Some(row) = self.gateway_row().filter(|_| kind == ActKind::Fence) {
                    let sheet = acts::remove(row, ctx.shared);
                    ctx.sheet(sheet);
                }
            }
            Pane::Revocations => {
                if let Some(row) = self.row() {
                    acts::open(row, kind, ctx);
                }
            }
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
                Acts,
                Explain,
                Related,
                Raw,
                TimeFormat,
                CopyId,
                Watch,
                Back,
            ];
        }
        vec![
            Down, Open, NextPane, Filter, Acts, Explain, Related, Sort, Views, TimeFormat, CopyId,
            Watch,
        ]
    }

    fn available(&self, command: Command, _shared: &Shared) -> Available {
        use Command::*;
        let on = match self.pane {
            Pane::Revocations => self.cursor.is_some(),
            Pane::Gateways => self.gateway_row().is_some(),
        };
        match command {
            Open | Zoom if !on => Err("the list is empty"),
            Open | Zoom | NextPane | PreviousPane => Ok(()),
            NextObject | PreviousObject if !self.open => Err("open one first"),
            NextObject | PreviousObject => Ok(()),
            Explain | Related if self.pane == Pane::Gateways => {
                Err("what is known of a gateway stands beside its list; tab goes back")
            }
            Explain
                if self
                    .told()
                    .is_none_or(|row| self.detail_of(row.id).is_none()) =>
            {
                Err("its gateways are still on their way")
            }
            Related if !on => Err("the list is empty"),
            Explain | Related => Ok(()),
            Sort | SortReverse if self.rows.order().is_empty() => Err("the list is empty"),
            Sort | SortReverse => Ok(()),
            Diff => {
                Err("a revocation only ever comes further: its times stand beside each gateway")
            }
            Mark | MarkRange | MarkClear => {
                Err("what is done here is done to one: mark credentials on their screen")
            }
            FindNext | FindPrevious => {
                Err("the filter shows matches only: j and k go through them")
            }
            ZoomIn | ZoomOut | ZoomNow => Err("the axis of times fits what it shows"),
            _ => Err("the detail scrolls: enter, then j and k"),
        }
    }

    fn subject(&self, _shared: &Shared) -> Option<Subject> {
        if self.pane == Pane::Gateways {
            let row = self.gateway_row()?;
            return Some(Subject {
                id: row.id.to_string(),
                name: row.name.clone(),
                twin: format!("countersign gateway show {}", row.id),
                json: serde_json::to_string_pretty(row).unwrap_or_default(),
            });
        }
        let row = self.row()?;
        let json = match self.detail_of(row.id) {
            Some(detail) => serde_json::to_string_pretty(detail),
            None => serde_json::to_string_pretty(row),
        };
        Some(Subject {
            id: row.id.to_string(),
            name: row.credential_name.clone(),
            twin: format!("countersign revocation show {}", row.id),
            json: json.unwrap_or_default(),
        })
    }

    fn has_subject(&self, _shared: &Shared) -> bool {
        match self.pane {
            Pane::Revocations => self.row().is_some(),
            Pane::Gateways => self.gateway_row().is_some(),
        }
    }

    fn twin(&self, _shared: &Shared) -> String {
        match (self.pane, self.filter.as_str()) {
            (Pane::Gateways, _) => "countersign gateway list".into(),
            (Pane::Revocations, "") => "countersign revocation list".into(),
            (Pane::Revocations, filter) => format!(
                "countersign revocation list --filter '{}'",
                filter.replace('\'', "'\\''")
            ),
        }
    }

    fn badge(&self, _shared: &Shared) -> Option<u64> {
        Some(self.rows.open()).filter(|open| *open > 0)
    }

    fn kept_at(&self, _shared: &Shared) -> Option<DateTime<Utc>> {
        None
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, text: &str, ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        Filter::parse_for::<RevocationRow>(text)?;
        if self.filter != text {
            text.clone_into(&mut self.filter);
            self.rows.anew();
            self.settle(ctx.shared);
            self.select(0, ctx.shared);
            // What is known is shown at once; what is not known may match too.
            self.ask(ctx);
        }
        Ok(())
    }

    fn views(&self) -> &'static [(&'static str, &'static str)] {
        VIEWS
    }

    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        let lines: String = match self.pane {
            Pane::Revocations => self
                .rows
                .from(0)
                .filter_map(|row| serde_json::to_string(row).ok())
                .map(|line| line + "\n")
                .collect(),
            Pane::Gateways => self
                .gateways
                .iter()
                .filter_map(|row| serde_json::to_string(row).ok())
                .map(|line| line + "\n")
                .collect(),
        };
        (!lines.is_empty()).then_some(("ndjson", lines))
    }

    fn unrested(&self) -> bool {
        self.rested != self.cursor
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        // What is open counts its time; the gateways are looked at again now and then.
        Some(if self.rows.open() > 0 { 1 } else { 10 })
    }
}
