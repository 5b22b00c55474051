//! Requests that wait for a person, and the one screen on which a person decides.
//!
//! The queue is what is shared of requests, sorted; a review is fetched once, is bound to the sequence it was
//! read at, and says so when the request has moved on.

/// May I, and the sheets.
pub mod decide;
mod draw;
mod lookalikes;
/// The queue.
pub mod queue;
/// The review as lines.
pub mod review;

use super::{Act, Jump, Screen, Subject, kit};
use crate::client::sign::head_of;
use crate::console::backend::Frame;
use crate::console::command::{ActKind, Command};
use crate::console::effect::{Call, CallId, ToSign};
use crate::console::event::{Event, Level, LinkState, Reply};
use crate::console::model::{Available, Ctx, Overlay, Shared};
use crate::console::theme::Theme;
use crate::secret::digest_of;
use crate::wire::burst::{Burst, Item, together};
use crate::wire::filter::{Filter, FilterError};
use crate::wire::{FeedItem, RequestDetail, RequestId, RequestRow, RequestState, StepUp};
use decide::Seen;
use queue::Entry;
use ratatui::layout::Rect;
use review::{Around, Review};
use serde::{Deserialize, Serialize};

/// What is asked for when there is no filter.
const WAITING: &str = "state:awaiting_approval | state:held | state:failed | state:review_owed";
/// From this width on the queue stays beside the review.
const WIDE: u16 = 110;
/// How wide it is then.
const QUEUE: u16 = 39;

/// What the screen keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Approvals {
    filter: String,
    asked: Option<CallId>,
    loaded: bool,
    /// The queue's order; it stands still while a menu or a sheet is open.
    order: Vec<Entry>,
    /// The burst whose requests are shown, each by itself.
    inside: Option<RequestId>,
    /// The request that the cursor is on, or the burst, by its run.
    pub cursor: Option<RequestId>,
    /// The row it is in, for when it has gone.
    row: usize,
    skip: usize,
    /// The request under review.
    pub open: Option<Opened>,
    /// What a narrower request would come to was asked.
    trying: Option<CallId>,
}

/// A request under review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Which.
    pub id: RequestId,
    /// What the broker said of it, once it did.
    pub detail: Option<Box<RequestDetail>>,
    asked: Option<CallId>,
    /// What happened to it since it was opened.
    pub moved: Option<String>,
    lookalikes: Vec<String>,
    scroll: usize,
    /// Which of its lines were on the screen.
    seen: Vec<bool>,
    scopes_seen: usize,
}

impl Approvals {
    fn parsed(&self) -> Filter {
        Filter::parse_for::<RequestRow>(&self.filter).unwrap_or_default()
    }

    fn reorder(&mut self, shared: &Shared) {
        let entries = |inside| queue::entries(&shared.requests, &self.parsed(), inside, shared.now);
        let order = entries(self.inside);
        // What is left of a burst is a request like any other.
        if self.inside.is_some() && order.len() < 2 {
            self.order = entries(None);
            self.inside = None;
        } else {
            self.order = order;
        }
    }

    /// Looks into a burst, or out of it again.
    fn look_into(&mut self, inside: Option<RequestId>, shared: &Shared) {
        let before = std::mem::replace(&mut self.inside, inside);
        self.cursor = match inside {
            Some(_) => None,
            None => before,
        };
        self.row = 0;
        self.reorder(shared);
        self.settle(shared);
    }

    /// The burst that is shown, or that the cursor is on.
    fn burst<'a>(&self, shared: &'a Shared) -> Option<Burst<'a>> {
        let members: Vec<RequestId> = if self.inside.is_some() {
            self.order.iter().map(|entry| entry.key).collect()
        } else {
            let entry = self
                .order
                .iter()
                .find(|entry| Some(entry.key) == self.cursor)?;
            entry.members.clone()
        };
        let entry = Entry {
            key: self.inside.or(self.cursor)?,
            members,
        };
        match entry.item(&shared.requests) {
            Some(Item::Burst(burst)) => Some(burst),
            _ => None,
        }
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let filter = if self.filter.is_empty() {
            WAITING
        } else {
            &self.filter
        };
        let filter = filter.to_owned();
        self.asked = Some(ctx.call(Call::Requests { filter }));
    }

    fn review_area(area: Rect) -> Rect {
        if area.width < WIDE {
            return area;
        }
        Rect {
            x: area.x + QUEUE + 2,
            width: area.width - QUEUE - 2,
            ..area
        }
    }

    /// Puts the cursor back on its object, or, if that has gone, on what took its place.
    fn settle(&mut self, shared: &Shared) {
        let at = self
            .cursor
            .and_then(|id| self.order.iter().position(|entry| entry.has(id)));
        let at = at.unwrap_or(self.row.min(self.order.len().saturating_sub(1)));
        self.row = at;
        self.cursor = self.order.get(at).map(|entry| entry.key);
        let height = usize::from(kit::body(shared).height).saturating_sub(3);
        self.skip = kit::scrolled(self.skip, at, height, self.order.len());
    }

    fn step(&mut self, by: isize, shared: &Shared) {
        self.settle(shared);
        self.row = self
            .row
            .saturating_add_signed(by)
            .min(self.order.len().saturating_sub(1));
        self.cursor = self.order.get(self.row).map(|entry| entry.key);
        self.settle(shared);
    }

    fn review(&mut self, id: RequestId, ctx: &mut Ctx<'_>) {
        let together = |entry: &&Entry| entry.is_burst() && entry.members.contains(&id);
        if let Some(run) = self.order.iter().find(together).map(|entry| entry.key) {
            self.look_into(Some(run), ctx.shared);
        }
        self.cursor = Some(id);
        self.settle(ctx.shared);
        self.open = Some(Opened {
            id,
            detail: None,
            asked: Some(ctx.call(Call::Request(id))),
            moved: None,
            lookalikes: Vec::new(),
            scroll: 0,
            seen: Vec::new(),
            scopes_seen: 0,
        });
    }

    fn other(&mut self, by: isize, ctx: &mut Ctx<'_>) {
        let before = self.cursor;
        self.step(by, ctx.shared);
        let Some(id) = self.cursor.filter(|_| self.cursor != before) else {
            return;
        };
        // Of a burst the first, or, coming from below, the last.
        let entry = self.order.get(self.row).filter(|entry| entry.is_burst());
        let member = entry.and_then(|entry| match by {
            ..0 => entry.members.last(),
            _ => entry.members.first(),
        });
        self.review(member.copied().unwrap_or(id), ctx);
    }

    /// Notes a row that came with the stream: whoever reviews it is told, and reads it again.
    fn moved(&mut self, item: &FeedItem, ctx: &mut Ctx<'_>) {
        let Some(row) = &item.request else { return };
        if let Some(open) = &mut self.open
            && open.id == row.id
            && open
                .detail
                .as_ref()
                .is_some_and(|detail| detail.row.sequence < row.sequence)
        {
            let me = ctx.shared.session.as_ref();
            let own = me.is_some_and(|session| session.name == item.event.actor.name);
            if !own {
                let what = format!("{} by {}", item.event.kind, item.event.actor.name);
                open.moved = Some(what);
            }
            open.asked = Some(ctx.call(Call::Request(row.id)));
        }
    }

    fn arrived(
        &mut self,
        id: CallId,
        reply: &Result<Reply, crate::console::event::CallError>,
        ctx: &mut Ctx<'_>,
    ) {
        if self.asked == Some(id) {
            self.asked = None;
            match reply {
                Ok(Reply::Requests(page)) => {
                    self.loaded = true;
                    keep_rows(&page.items, ctx.shared);
                }
                Ok(_) => {}
                Err(error) => ctx.failed("requests", error),
            }
        }
        if self.trying == Some(id) {
            self.trying = None;
            match reply {
                Ok(Reply::Narrowed(narrowed)) => {
                    if let Some(detail) = self.detail() {
                        let sheet = decide::narrow_sheet(detail, narrowed);
                        ctx.sheet(sheet);
                    }
                }
                Ok(_) => {}
                Err(error) => ctx.failed("narrow", error),
            }
        }
        let Some(open) = self.open.as_mut().filter(|open| open.asked == Some(id)) else {
            return;
        };
        open.asked = None;
        match reply {
            Ok(Reply::Request(detail)) => {
                keep_rows(std::slice::from_ref(&detail.row), ctx.shared);
                open.lookalikes = lookalikes::of(detail, ctx.shared);
                open.detail = Some(detail.clone());
                open.seen.clear();
                open.scopes_seen = 0;
                open.scroll = 0;
                self.look(ctx.shared);
            }
            Ok(_) => {}
            Err(error) => ctx.failed("request", error),
        }
    }

    fn page(&self, shared: &Shared, theme: &Theme, area: Rect) -> Option<Review> {
        let open = self.open.as_ref()?;
        let detail = open.detail.as_deref()?;
        let place = self.order.iter().position(|entry| entry.has(open.id));
        let around = Around {
            place: place.map(|n| (n + 1, self.order.len())),
            moved: open.moved.as_deref(),
            lookalikes: &open.lookalikes,
            scopes_seen: open.scopes_seen,
        };
        let me = shared
            .session
            .as_ref()
            .map_or("", |session| session.name.as_str());
        let look = kit::Look::new(shared, theme);
        Some(review::review(
            detail,
            me,
            around,
            &look,
            Self::review_area(area).width.into(),
        ))
    }

    /// Marks what is on the screen now as seen. What was seen in another layout does not count.
    fn look(&mut self, shared: &Shared) {
        let area = kit::body(shared);
        let Some(page) = self.page(shared, &kit::theme_of(shared), area) else {
            return;
        };
        let Some(open) = &mut self.open else { return };
        let (rows, lines) = (usize::from(area.height), page.lines.len());
        open.scroll = open.scroll.min(lines.saturating_sub(rows));
        if open.seen.len() != lines {
            open.seen = vec![false; lines];
        }
        // The last row says how much is below, while there is more.
        let full = open.scroll + rows >= lines;
        let end = if full {
            lines
        } else {
            open.scroll + rows.saturating_sub(1)
        };
        open.seen[open.scroll..end].fill(true);
        let seen = &open.seen;
        open.scopes_seen = page
            .scopes
            .iter()
            .filter(|line| seen.get(**line) == Some(&true))
            .count();
    }

    fn scroll(&mut self, by: isize, shared: &Shared) {
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_add_signed(by);
        }
        self.look(shared);
    }

    fn seen(&self) -> Seen {
        self.open.as_ref().map_or(
            Seen {
                hidden_lines: usize::MAX,
                scopes: 0,
            },
            |open| Seen {
                hidden_lines: open.seen.iter().filter(|seen| !**seen).count(),
                scopes: open.scopes_seen,
            },
        )
    }

    /// What would be signed: exactly the lines of the review, on the log that was verified here. Nothing, where a session
    /// is enough.
    fn to_sign(&self, shared: &Shared, always: bool) -> Result<Option<ToSign>, String> {
        let (Some(detail), Some(session)) = (self.detail(), &shared.session) else {
            return Err("it is not here yet".into());
        };
        if detail.step_up == StepUp::None && !always {
            return Ok(None);
        }
        let head = head_of(&shared.chain, &session.origin).map_err(|error| error.to_string())?;
        let page = self
            .page(shared, &kit::theme_of(shared), kit::body(shared))
            .unwrap_or_default();
        let shown: Vec<String> = page.lines.iter().map(ToString::to_string).collect();
        Ok(Some(ToSign {
            operator: session.name.clone(),
            detail: detail.clone(),
            view: digest_of(&shown.join("\n")),
            head,
        }))
    }

    fn detail(&self) -> Option<&RequestDetail> {
        self.open.as_ref()?.detail.as_deref()
    }

    /// The request that is under review or that the cursor is on; of a burst the first.
    fn pointed<'a>(&self, shared: &'a Shared) -> Option<&'a RequestRow> {
        if let Some(open) = &self.open {
            return shared.requests.get(&open.id);
        }
        let here = |entry: &&Entry| Some(entry.key) == self.cursor;
        let item = self.order.iter().find(here)?.item(&shared.requests)?;
        item.rows().first().copied()
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = isize::from(kit::body(ctx.shared).height.cast_signed()) / 2;
        let far = 1 << 20;
        if self.open.is_some() {
            match command {
                Command::Down => self.scroll(1, ctx.shared),
                Command::Up => self.scroll(-1, ctx.shared),
                Command::HalfPageDown => self.scroll(half, ctx.shared),
                Command::HalfPageUp => self.scroll(-half, ctx.shared),
                Command::First => self.scroll(-far, ctx.shared),
                Command::Last => self.scroll(far, ctx.shared),
                Command::NextObject => self.other(1, ctx),
                Command::PreviousObject => self.other(-1, ctx),
                Command::Back => self.open = None,
                Command::Refresh => {
                    if let Some(open) = &mut self.open {
                        open.asked = Some(ctx.call(Call::Request(open.id)));
                    }
                }
                Command::Explain => self.explain(ctx),
                Command::Raw => self.raw(ctx),
                Command::Related => self.related(ctx),
                _ => {}
            }
            return;
        }
        match command {
            Command::Down | Command::NextObject => self.step(1, ctx.shared),
            Command::Up | Command::PreviousObject => self.step(-1, ctx.shared),
            Command::HalfPageDown => self.step(half, ctx.shared),
            Command::HalfPageUp => self.step(-half, ctx.shared),
            Command::First => self.step(-far, ctx.shared),
            Command::Last => self.step(far, ctx.shared),
            Command::Open => {
                self.settle(ctx.shared);
                match self.order.get(self.row) {
                    Some(entry) if entry.is_burst() => {
                        self.look_into(Some(entry.key), ctx.shared);
                    }
                    Some(entry) => self.review(entry.key, ctx),
                    None => {}
                }
            }
            Command::Refresh => self.ask(ctx),
            Command::Related => self.related(ctx),
            Command::Back if self.inside.is_some() => self.look_into(None, ctx.shared),
            Command::Back if !self.filter.is_empty() => {
                self.filter.clear();
            }
            _ => {}
        }
    }
}

fn keep_rows(rows: &[RequestRow], shared: &mut Shared) {
    for row in rows {
        let known = shared.requests.get(&row.id);
        if known.is_none_or(|known| known.sequence <= row.sequence) {
            shared.requests.insert(row.id, row.clone());
        }
    }
}

impl Screen for Approvals {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        match event {
            Event::Link(LinkState::Live { .. }) if !self.loaded && self.asked.is_none() => {
                self.ask(ctx);
            }
            Event::Reply(id, reply) => self.arrived(*id, reply, ctx),
            Event::Feed(item) => {
                if let Some(row) = &item.request {
                    keep_rows(std::slice::from_ref(row), ctx.shared);
                }
                self.moved(item, ctx);
            }
            Event::Resized(..) => {
                if let Some(open) = &mut self.open {
                    open.seen.clear();
                }
                self.settle(ctx.shared);
                self.look(ctx.shared);
            }
            Event::Command(command) => self.command(*command, ctx),
            _ => {}
        }
        if !ctx.frozen {
            self.reorder(ctx.shared);
            self.settle(ctx.shared);
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        if !self.loaded && self.asked.is_none() {
            self.ask(ctx);
        }
        self.reorder(ctx.shared);
        self.settle(ctx.shared);
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        self.filter = jump.filter.clone().unwrap_or_default();
        self.open = None;
        self.inside = None;
        self.ask(ctx);
        self.reorder(ctx.shared);
        match jump.id.as_deref().map(str::parse) {
            Some(Ok(id)) => self.review(id, ctx),
            Some(Err(_)) => ctx.toast(Level::Bad, "that is not a request's identifier"),
            None => self.settle(ctx.shared),
        }
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        self.draw(shared, area, frame, theme);
    }

    fn acts(&self, shared: &Shared) -> Vec<Act> {
        let Some(detail) = self.detail() else {
            let burst = self.burst(shared).filter(|_| self.open.is_none());
            return burst
                .map(|burst| Act {
                    kind: ActKind::Deny,
                    effect: format!(
                        "{} of {} are denied together, each with a record of its own",
                        decide::undecided(&burst).count(),
                        burst.requester()
                    ),
                    refused: decide::deny_all_refused(&burst, shared),
                })
                .into_iter()
                .collect();
        };
        let me = shared
            .session
            .as_ref()
            .map_or("", |session| session.name.as_str());
        let name = &detail.plan.credential;
        let mut acts = vec![
            Act {
                kind: ActKind::Approve,
                effect: format!(
                    "{} gets {name} for {}",
                    detail.row.requester,
                    review::granted(detail)
                ),
                refused: decide::approve_refused(detail, self.seen())
                    .or_else(|| self.to_sign(shared, false).err()),
            },
            Act {
                kind: ActKind::Narrow,
                effect: format!("{} gets less than it asked for", detail.row.requester),
                refused: decide::narrow_refused(detail),
            },
            Act {
                kind: ActKind::Deny,
                effect: format!(
                    "{} does not get {name}; it is over at once",
                    detail.row.requester
                ),
                refused: decide::deny_refused(detail),
            },
        ];
        let own = detail.row.requester == me;
        acts.push(Act {
            kind: ActKind::Ask,
            effect: if own {
                "answers whoever decides; kept in the record".into()
            } else {
                format!(
                    "asks {} something; kept in the record",
                    detail.row.requester
                )
            },
            refused: decide::note_refused(detail, own),
        });
        acts.push(Act {
            kind: ActKind::Hold,
            effect: match detail.row.state {
                RequestState::Held => "lets it be decided again".into(),
                _ => "stops it until somebody lets it go on".into(),
            },
            refused: decide::hold_refused(detail, shared),
        });
        if own {
            acts.push(Act {
                kind: ActKind::BreakGlass,
                effect: "EMERGENCY: yours at once, for minutes, and others must sign for it".into(),
                refused: decide::break_glass_refused(detail)
                    .or_else(|| self.to_sign(shared, true).err()),
            });
            acts.push(Act {
                kind: ActKind::Withdraw,
                effect: "takes your own request back".into(),
                refused: detail
                    .row
                    .state
                    .ended()
                    .then(|| format!("it is {} already", detail.row.state)),
            });
        }
        if detail.row.state == RequestState::Failed {
            acts.push(Act {
                kind: ActKind::Retry,
                effect: format!("{} tries once more to make it", detail.plan.issuer),
                refused: (detail.may_retry.as_ref())
                    .filter(|retry| !retry.allowed)
                    .map(|retry| retry.detail.clone()),
            });
        }
        acts
    }

    fn act(&mut self, kind: ActKind, ctx: &mut Ctx<'_>) {
        let acts = self.acts(ctx.shared);
        let Some(act) = acts.iter().find(|act| act.kind == kind) else {
            return;
        };
        if let Some(why) = &act.refused {
            ctx.toast(Level::Bad, why.clone());
            return;
        }
        let Some(detail) = self.detail() else {
            if let Some(burst) = self.burst(ctx.shared) {
                let sheet = decide::deny_all_sheet(&burst);
                ctx.sheet(sheet);
            }
            return;
        };
        let sheet = match kind {
            ActKind::Approve => match self.to_sign(ctx.shared, false) {
                Ok(to_sign) => decide::approve_sheet(detail, to_sign),
                Err(why) => return ctx.toast(Level::Bad, why),
            },
            ActKind::BreakGlass => match self.to_sign(ctx.shared, true) {
                Ok(Some(to_sign)) => decide::break_glass_sheet(detail, to_sign),
                Ok(None) => return,
                Err(why) => return ctx.toast(Level::Bad, why),
            },
            ActKind::Narrow => {
                *ctx.overlay = Some(Overlay::Menu(decide::narrow_menu(detail)));
                return;
            }
            ActKind::Ask => {
                let me = ctx.shared.session.as_ref();
                let own = me.is_some_and(|session| session.name == detail.row.requester);
                decide::note_sheet(detail, own)
            }
            ActKind::Hold => decide::hold_sheet(detail),
            ActKind::Deny => decide::deny_sheet(detail, self.to_sign(ctx.shared, false)),
            ActKind::Withdraw => decide::withdraw_sheet(detail),
            ActKind::Retry => decide::retry_sheet(detail),
            _ => return,
        };
        ctx.sheet(sheet);
    }

    fn act_on(&mut self, kind: ActKind, at: u32, ctx: &mut Ctx<'_>) {
        let Some(detail) = self.detail().filter(|_| kind == ActKind::Narrow) else {
            return;
        };
        let Some(way) = decide::narrowings(detail).into_iter().nth(at as usize) else {
            return;
        };
        let call = Call::WouldNarrow(detail.row.id, detail.digest, way.scopes, way.ttl_s);
        self.trying = Some(ctx.call(call));
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        if self.open.is_some() {
            vec![
                Command::Acts,
                Command::NextObject,
                Command::HalfPageDown,
                Command::Explain,
                Command::Back,
                Command::Related,
                Command::Help,
            ]
        } else {
            vec![
                Command::Down,
                Command::Open,
                Command::Filter,
                Command::Acts,
                Command::Refresh,
                Command::TimeFormat,
                Command::Palette,
                Command::Help,
            ]
        }
    }

    fn available(&self, command: Command, shared: &Shared) -> Available {
        match command {
            Command::Related if self.pointed(shared).is_some() => Ok(()),
            Command::Related => Err("the queue is empty"),
            Command::Explain | Command::Raw if self.detail().is_some() => Ok(()),
            Command::Explain | Command::Raw => Err("open a request first"),
            Command::Open if self.open.is_none() => Ok(()),
            Command::Open => Err("it is open already: ctrl-d reads on, . decides"),
            Command::NextObject | Command::PreviousObject => Ok(()),
            Command::Diff => Err("what it changes stands in the review, under CHANGE"),
            Command::Sort | Command::SortReverse => {
                Err("the queue has one order: by risk, then by the time that is left")
            }
            Command::Mark | Command::MarkRange | Command::MarkClear => {
                Err("requests are decided one by one, each for what it asks")
            }
            Command::FindNext | Command::FindPrevious => {
                Err("the filter shows matches only: j and k go through them")
            }
            Command::ZoomIn | Command::ZoomOut | Command::ZoomNow => {
                Err("there is no timeline in the queue")
            }
            _ => {
                Err("a review is one page: ctrl-d and ctrl-u move through it, J and K to the next")
            }
        }
    }

    fn subject(&self, shared: &Shared) -> Option<Subject> {
        let id = self.open.as_ref().map(|open| open.id).or(self.cursor)?;
        let whole = self.open.is_none() && self.inside.is_none();
        if let Some(burst) = self.burst(shared).filter(|_| whole) {
            return Some(Subject {
                id: id.to_string(),
                name: burst.requester().to_owned(),
                twin: format!(
                    "countersign request list --each --filter 'burst requester=\"{}\"'",
                    burst.requester()
                ),
                json: serde_json::to_string_pretty(&burst.rows).unwrap_or_default(),
            });
        }
        let row = shared.requests.get(&id)?;
        let json = match self.detail() {
            Some(detail) => serde_json::to_string_pretty(detail),
            None => serde_json::to_string_pretty(row),
        };
        Some(Subject {
            id: id.to_string(),
            name: row.credential.clone(),
            twin: format!("countersign request show {id}"),
            json: json.unwrap_or_default(),
        })
    }

    fn twin(&self, _shared: &Shared) -> String {
        let filter = if self.filter.is_empty() {
            WAITING
        } else {
            &self.filter
        };
        format!("countersign request list --filter '{filter}'")
    }

    fn badge(&self, shared: &Shared) -> Option<u64> {
        let waiting = |row: &&RequestRow| {
            row.state == RequestState::AwaitingApproval || row.review_by.is_some()
        };
        let rows: Vec<&RequestRow> = shared.requests.values().filter(waiting).collect();
        let n = together(&rows, |_| false).len() as u64;
        (n > 0).then_some(n)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, text: &str, ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        Filter::parse_for::<RequestRow>(text)?;
        text.clone_into(&mut self.filter);
        self.ask(ctx);
        self.reorder(ctx.shared);
        self.settle(ctx.shared);
        Ok(())
    }

    fn views(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("waiting", "state:awaiting_approval"),
            (
                "high and critical",
                "(tier:high | tier:critical) & state:awaiting_approval",
            ),
            (
                "ending within 20 minutes",
                "left<20m & state:awaiting_approval",
            ),
            ("bursts", "burst & state:awaiting_approval"),
            ("failed", "state:failed"),
            ("glass broken, not looked at yet", "state:review_owed"),
            ("denied in a day", "state:denied & age<24h"),
        ]
    }

    fn export(&self, shared: &Shared) -> Option<(&'static str, String)> {
        let members = self.order.iter().flat_map(|entry| &entry.members);
        let lines = members
            .filter_map(|id| shared.requests.get(id))
            .filter_map(|row| serde_json::to_string(row).ok());
        Some(("ndjson", lines.map(|line| line + "\n").collect()))
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        Some(1)
    }
}
