//! The log, newest first, one record in full, and the chain as the console itself has checked it.

/// The parts as lines.
pub mod page;
/// What records mean, and what belongs to them.
pub mod words;

use super::{Jump, Screen, Subject, kit};
use crate::console::backend::{Frame, Region};
use crate::console::command::Command;
use crate::console::effect::{Call, CallId};
use crate::console::event::{Event, LinkState, Reply};
use crate::console::model::{Available, Ctx, Overlay, Shared};
use crate::console::theme::{Role, Theme};
use crate::display::time::count;
use crate::wire::filter::{Filter, FilterError};
use crate::wire::{EventRecord, Page};
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Records asked for at a time.
const LIMIT: u32 = 200;
/// Records kept at most; the oldest go.
const KEPT: usize = 2_000;
/// From this width on the record stands beside the list.
const WIDE: u16 = 110;

/// What the screen keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Audit {
    filter: String,
    /// Newest first.
    records: VecDeque<EventRecord>,
    /// What came while lists stood still, oldest first.
    waiting: Vec<EventRecord>,
    /// Where older ones go on.
    next: Option<String>,
    total: u64,
    asked: Option<CallId>,
    /// The records asked for are older ones, to be put below.
    older: bool,
    loaded: bool,
    /// The record that the cursor is on, by its sequence; none: the newest, whichever that is.
    pub cursor: Option<u64>,
    skip: usize,
}

impl Audit {
    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        self.older = false;
        let call = Call::Events {
            filter: self.filter.clone(),
            cursor: None,
            limit: LIMIT,
        };
        self.asked = Some(ctx.call(call));
    }

    fn ask_older(&mut self, ctx: &mut Ctx<'_>) {
        if self.asked.is_some() || self.next.is_none() || self.records.len() >= KEPT {
            return;
        }
        self.older = true;
        let call = Call::Events {
            filter: self.filter.clone(),
            cursor: self.next.clone(),
            limit: LIMIT,
        };
        self.asked = Some(ctx.call(call));
    }

    fn arrived(&mut self, page: &Page<EventRecord>) {
        if self.older {
            self.records.extend(page.items.iter().cloned());
        } else {
            // What came with the stream meanwhile is newer than the page.
            let newest = page.items.first().map_or(0, |record| record.sequence);
            self.records
                .retain(|record| record.sequence > newest && self.loaded);
            self.records.extend(page.items.iter().cloned());
            self.loaded = true;
        }
        self.next.clone_from(&page.next);
        self.total = page.total;
    }

    /// Puts what came with the stream on top. The cursor stays with its record, and that where it is.
    fn take_waiting(&mut self) {
        for record in std::mem::take(&mut self.waiting) {
            let newest = self.records.front().map_or(0, |first| first.sequence);
            if record.sequence <= newest {
                continue;
            }
            self.records.push_front(record);
            self.total += 1;
            if self.cursor.is_some() && self.skip > 0 {
                self.skip += 1;
            }
        }
        if self.records.len() > KEPT {
            self.records.truncate(KEPT);
            self.next = None;
        }
    }

    fn at(&self) -> usize {
        let Some(cursor) = self.cursor else { return 0 };
        let at = self
            .records
            .partition_point(|record| record.sequence > cursor);
        at.min(self.records.len().saturating_sub(1))
    }

    fn current(&self) -> Option<&EventRecord> {
        self.records.get(self.at())
    }

    fn rows(shared: &Shared) -> usize {
        usize::from(Self::list_area(kit::body(shared), Self::head_rows(shared)).height)
            .saturating_sub(1)
    }

    fn head_rows(shared: &Shared) -> u16 {
        let area = kit::body(shared);
        let theme = kit::theme_of(shared);
        let look = kit::Look::new(shared, &theme);
        let columns = usize::from(if area.width >= WIDE {
            area.width * 64 / 100
        } else {
            area.width
        });
        1 + page::chain(&shared.chain, &look, columns).len() as u16
    }

    /// The list with its heads, below the chain; the record has what is left.
    fn list_area(area: Rect, head_rows: u16) -> Rect {
        let below = Rect {
            y: area.y + head_rows,
            height: area.height.saturating_sub(head_rows),
            ..area
        };
        if area.width >= WIDE {
            Rect {
                width: area.width * 64 / 100,
                height: below.height.saturating_sub(4),
                ..below
            }
        } else {
            Rect {
                height: below.height - below.height * 9 / 20,
                ..below
            }
        }
    }

    fn step(&mut self, by: isize, ctx: &mut Ctx<'_>) {
        let last = self.records.len().saturating_sub(1);
        let at = self.at().saturating_add_signed(by).min(last);
        // At the top the cursor stays with the newest, whatever comes.
        let follow = at == 0 && by < 0;
        self.cursor = self
            .records
            .get(at)
            .filter(|_| !follow)
            .map(|record| record.sequence);
        self.settle(ctx.shared);
        if at + 50 >= self.records.len() {
            self.ask_older(ctx);
        }
    }

    fn settle(&mut self, shared: &Shared) {
        self.skip = kit::scrolled(self.skip, self.at(), Self::rows(shared), self.records.len());
    }

    fn parsed(&self) -> Filter {
        Filter::parse_for::<EventRecord>(&self.filter).unwrap_or_default()
    }

    fn explain(&self, ctx: &mut Ctx<'_>) {
        let Some(record) = self.current() else { return };
        let theme = kit::theme_of(ctx.shared);
        let look = kit::Look::new(ctx.shared, &theme);
        let (_, checked, _) = page::checked(&ctx.shared.chain, record.sequence, &look);
        let lines = words::explain(record, checked);
        let title = format!("WHY  #{}  {}", count(record.sequence), record.kind);
        *ctx.overlay = Some(Overlay::Page(title, lines, 0));
    }

    fn related(&self, ctx: &mut Ctx<'_>) {
        if let Some(record) = self.current() {
            *ctx.overlay = Some(Overlay::Menu(words::related(record)));
        }
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = isize::try_from(Self::rows(ctx.shared) / 2)
            .unwrap_or(1)
            .max(1);
        let far = 1 << 20;
        match command {
            Command::Down | Command::NextObject => self.step(1, ctx),
            Command::Up | Command::PreviousObject => self.step(-1, ctx),
            Command::HalfPageDown => self.step(half, ctx),
            Command::HalfPageUp => self.step(-half, ctx),
            Command::First => self.step(-far, ctx),
            Command::Last => self.step(far, ctx),
            Command::Refresh => self.ask(ctx),
            Command::Open => {
                if let Some(record) = self.current() {
                    let theme = kit::theme_of(ctx.shared);
                    let look = kit::Look::new(ctx.shared, &theme);
                    // The inside of the page's box.
                    let columns = usize::from(ctx.shared.size.0).saturating_sub(8);
                    let lines = page::record(record, &ctx.shared.chain, &look, columns);
                    let lines = lines.iter().skip(1).map(ToString::to_string).collect();
                    let title = format!("#{} {}", count(record.sequence), record.kind);
                    *ctx.overlay = Some(Overlay::Page(title, lines, 0));
                }
            }
            Command::Raw => {
                if let Some(record) = self.current() {
                    let text = serde_json::to_string_pretty(record).unwrap_or_default();
                    let lines = text.lines().map(str::to_owned).collect();
                    *ctx.overlay = Some(Overlay::Page(
                        format!("#{}", count(record.sequence)),
                        lines,
                        0,
                    ));
                }
            }
            Command::Explain => self.explain(ctx),
            Command::Related => self.related(ctx),
            Command::Back if !self.filter.is_empty() => {
                self.filter.clear();
                self.cursor = None;
                self.ask(ctx);
            }
            _ => {}
        }
    }

    fn title(&self) -> (String, String) {
        let title = if self.filter.is_empty() {
            "AUDIT".to_owned()
        } else {
            format!("AUDIT  / {}", self.filter)
        };
        let note = match (&self.asked, self.records.is_empty()) {
            (Some(_), true) => "asking".to_owned(),
            _ => format!(
                "{} of {}, newest first",
                count(self.records.len() as u64),
                count(self.total)
            ),
        };
        (title, note)
    }
}

impl Screen for Audit {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        match event {
            Event::Reply(id, reply) if self.asked == Some(*id) => {
                self.asked = None;
                match reply.as_ref() {
                    Ok(Reply::Events(page)) => self.arrived(page),
                    Ok(_) => {}
                    Err(error) => ctx.failed("audit", error),
                }
                self.settle(ctx.shared);
            }
            Event::Feed(item)
                if self.loaded && self.parsed().matches(&item.event, ctx.shared.now) =>
            {
                self.waiting.push(item.event.clone());
                let surplus = self.waiting.len().saturating_sub(KEPT);
                self.waiting.drain(..surplus);
            }
            Event::Link(LinkState::Live { .. }) | Event::Resized(..) => self.settle(ctx.shared),
            Event::Command(command) => self.command(*command, ctx),
            _ => {}
        }
        if !ctx.frozen && !self.waiting.is_empty() {
            self.take_waiting();
            self.settle(ctx.shared);
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        if !self.loaded && self.asked.is_none() {
            self.ask(ctx);
        }
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        self.filter = jump.filter.clone().unwrap_or_default();
        self.cursor = jump.id.as_deref().and_then(|id| id.parse().ok());
        self.skip = 0;
        self.ask(ctx);
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let look = kit::Look::new(shared, theme);
        let wide = area.width >= WIDE;
        let columns = usize::from(if wide {
            area.width * 64 / 100
        } else {
            area.width
        });
        let (title, note) = self.title();
        let mut lines = vec![look.rule(&title, &note, columns)];
        lines.extend(page::chain(&shared.chain, &look, columns));
        kit::paint(frame.buffer, area, &lines, 0);
        let list = Self::list_area(area, lines.len() as u16);
        kit::paint(frame.buffer, list, &[page::heads(&look, columns)], 0);
        let body = Rect {
            y: list.y + 1,
            height: list.height.saturating_sub(1),
            ..list
        };
        let at = self.at();
        let rows: Vec<_> = (self.skip..)
            .zip(self.records.range(self.skip.min(self.records.len())..))
            .take(usize::from(body.height))
            .map(|(n, record)| page::line(record, &shared.chain, &look, columns, n == at))
            .collect();
        kit::paint(frame.buffer, body, &rows, 0);
        if rows.is_empty() && self.asked.is_none() {
            let words = if self.loaded {
                " nothing matches; esc clears the filter"
            } else {
                " nothing was asked for yet"
            };
            kit::paint(frame.buffer, body, &[look.line(Role::Muted, words)], 0);
        }
        if !wide {
            // Beside the record the terminal's rows are not the list's alone, so they are not moved there.
            frame.region(Region {
                id: 7,
                top: body.top(),
                bottom: body.bottom(),
                offset: self.skip,
            });
        }
        let Some(record) = self.current() else { return };
        if wide {
            let x = list.right() + 3;
            let pane = Rect::new(x, area.y, area.right() - x, area.height);
            for y in area.top()..area.bottom() {
                frame.buffer[(x - 2, y)]
                    .set_symbol(theme.glyphs.vertical)
                    .set_style(theme.style(Role::Rule));
            }
            let mut right = page::record(record, &shared.chain, &look, pane.width.into());
            right.push(look.rule("EXPORT", "", pane.width.into()));
            let text = format!("x writes these rows; with proofs: {}", self.twin(shared));
            right.extend(look.wrapped(Role::Muted, " ", &text, pane.width.into()));
            kit::paint(frame.buffer, pane, &right, 0);
            let below = Rect {
                y: list.bottom() + 1,
                height: 3,
                ..list
            };
            let facets = page::facets(self.records.iter(), &look, columns);
            kit::paint(frame.buffer, below.intersection(area), &facets, 0);
        } else {
            let below = Rect {
                y: list.bottom(),
                height: area.bottom().saturating_sub(list.bottom()),
                ..area
            };
            let lines = page::record(record, &shared.chain, &look, columns);
            kit::paint(frame.buffer, below, &lines, 0);
            if lines.len() > usize::from(below.height) {
                let more = format!(
                    "{} more lines: enter",
                    lines.len() + 1 - usize::from(below.height)
                );
                let last = Rect {
                    y: below.bottom() - 1,
                    height: 1,
                    ..below
                };
                crate::console::paint::clear(frame.buffer, last);
                kit::paint(
                    frame.buffer,
                    last,
                    &[look.line(Role::Muted, format!(" {more}"))],
                    0,
                );
            }
        }
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        vec![
            Command::Down,
            Command::Open,
            Command::Filter,
            Command::Explain,
            Command::Related,
            Command::Raw,
            Command::Export,
            Command::TimeFormat,
            Command::Help,
        ]
    }

    fn available(&self, command: Command, _shared: &Shared) -> Available {
        match command {
            Command::Open | Command::Raw | Command::Explain | Command::Related
                if self.current().is_some() =>
            {
                Ok(())
            }
            Command::Open | Command::Raw | Command::Explain | Command::Related => {
                Err("there is no record here")
            }
            Command::NextObject | Command::PreviousObject => Ok(()),
            Command::Diff => Err("a record is never changed: there is nothing to compare it with"),
            Command::Sort | Command::SortReverse => Err("the log has one order, newest first"),
            Command::Mark | Command::MarkRange | Command::MarkClear => {
                Err("records are not marked: nothing can be done to them")
            }
            Command::FindNext | Command::FindPrevious => {
                Err("the filter shows matches only: j and k go through them")
            }
            Command::ZoomIn | Command::ZoomOut | Command::ZoomNow => {
                Err("there is no timeline here; `/` takes a span, such as age<1h")
            }
            _ => Err("the record stands beside its list: enter gives it the whole screen"),
        }
    }

    fn subject(&self, _shared: &Shared) -> Option<Subject> {
        let record = self.current()?;
        Some(Subject {
            id: record.subject.clone(),
            name: page::object(record).to_owned(),
            twin: format!(
                "countersign audit list --filter 'sequence={}'",
                record.sequence
            ),
            json: serde_json::to_string_pretty(record).unwrap_or_default(),
        })
    }

    fn twin(&self, _shared: &Shared) -> String {
        if self.filter.is_empty() {
            "countersign audit export".into()
        } else {
            format!("countersign audit list --filter '{}'", self.filter)
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, text: &str, ctx: &mut Ctx<'_>) -> Result<(), FilterError> {
        Filter::parse_for::<EventRecord>(text)?;
        if self.filter != text {
            text.clone_into(&mut self.filter);
            self.cursor = None;
            self.loaded = false;
            self.ask(ctx);
        }
        Ok(())
    }

    fn views(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("decisions", "type:approval | type:request.denied"),
            ("revocations", "type:revocation"),
            ("people and tokens", "type:operator"),
            ("failures", "type:failed"),
        ]
    }

    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        let lines = self
            .records
            .iter()
            .filter_map(|record| serde_json::to_string(record).ok());
        Some(("ndjson", lines.map(|line| line + "\n").collect()))
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        None
    }
}
