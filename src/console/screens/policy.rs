//! What decides, what is proposed in its place, what that changes, and what it would have decided before.

/// May I, and the sheets.
pub mod decide;
/// The parts as lines.
pub mod page;

use super::{Act, Jump, Screen, ScreenId, Subject, held, kit};
use crate::client::sign::head_of;
use crate::console::backend::{Frame, Region};
use crate::console::command::{ActKind, Command};
use crate::console::effect::{Call, CallId};
use crate::console::event::{Event, Level, Reply};
use crate::console::model::{Available, Choice, Ctx, Menu, Overlay, Shared};
use crate::console::theme::{Role, Theme};
use crate::secret::digest_of;
use crate::wire::{
    Environment, Policies, PolicyDetail, ProposalDetail, ProposalId, ProposalState, Simulation,
    StepUp,
};
use decide::PolicyToSign;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde::{Deserialize, Serialize};

/// The list takes at most one row in so many of the body.
const LIST_SHARE: u16 = 4;

/// What a row of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// A proposed change.
    Proposal(ProposalId),
    /// A version that is in force, or was.
    Version(u32),
}

/// What the screen keeps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PolicyScreen {
    all: Option<Policies>,
    asked: Option<CallId>,
    /// What the cursor is on; none: the first row.
    cursor: Option<Item>,
    skip: usize,
    /// How far the text below is scrolled.
    below: usize,
    /// Which of the shown proposal's lines were on the screen.
    seen: Vec<bool>,
    version: Option<PolicyDetail>,
    proposal: Option<ProposalDetail>,
    detail_asked: Option<CallId>,
    simulation: Option<(ProposalId, Simulation)>,
    /// Of which proposal one was asked for; the call is gone once it has failed.
    simulation_asked: Option<(ProposalId, Option<CallId>)>,
}

impl PolicyScreen {
    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        self.asked = Some(ctx.call(Call::Policies));
    }

    /// Proposals that wait, then the versions, newest first, then proposals that came to nothing.
    fn items(&self) -> Vec<Item> {
        let Some(all) = &self.all else {
            return Vec::new();
        };
        let waits = |state| state == ProposalState::AwaitingApproval;
        let waiting = all.proposals.iter().filter(|row| waits(row.state));
        let versions = all.versions.iter().map(|row| Item::Version(row.version));
        let over = all
            .proposals
            .iter()
            .filter(|row| !waits(row.state) && row.version.is_none());
        waiting
            .map(|row| Item::Proposal(row.id))
            .chain(versions)
            .chain(over.map(|row| Item::Proposal(row.id)))
            .collect()
    }

    fn at(&self, items: &[Item]) -> usize {
        self.cursor
            .and_then(|cursor| items.iter().position(|item| *item == cursor))
            .unwrap_or(0)
    }

    fn current(&self) -> Option<Item> {
        let items = self.items();
        items.get(self.at(&items)).copied()
    }

    /// The proposal under the cursor, once it has come.
    fn shown_proposal(&self) -> Option<&ProposalDetail> {
        let Some(Item::Proposal(id)) = self.current() else {
            return None;
        };
        self.proposal.as_ref().filter(|detail| detail.row.id == id)
    }

    fn shown_version(&self) -> Option<&PolicyDetail> {
        let Some(Item::Version(version)) = self.current() else {
            return None;
        };
        self.version
            .as_ref()
            .filter(|detail| detail.row.version == version)
    }

    fn shown_simulation(&self) -> Option<&Simulation> {
        let Some(Item::Proposal(id)) = self.current() else {
            return None;
        };
        self.simulation
            .as_ref()
            .filter(|(of, _)| *of == id)
            .map(|(_, simulation)| simulation)
    }

    /// Asks for the text of what the cursor is on, unless it is here.
    fn fetch(&mut self, ctx: &mut Ctx<'_>) {
        match self.current() {
            Some(Item::Proposal(id)) if self.shown_proposal().is_none() => {
                self.detail_asked = Some(ctx.call(Call::Proposal(id)));
            }
            Some(Item::Version(version)) if self.shown_version().is_none() => {
                self.detail_asked = Some(ctx.call(Call::Policy(version)));
            }
            _ => {}
        }
        if let Some(Item::Proposal(id)) = self.current()
            && self.shown_simulation().is_none()
            && self.simulation_asked.is_none_or(|(of, _)| of != id)
        {
            self.simulation_asked = Some((id, Some(ctx.call(Call::Simulate(id)))));
        }
    }

    fn step(&mut self, by: isize, ctx: &mut Ctx<'_>) {
        let items = self.items();
        let last = items.len().saturating_sub(1);
        let at = self.at(&items).saturating_add_signed(by).min(last);
        if items.get(at).copied() != self.current() {
            self.cursor = items.get(at).copied();
            self.below = 0;
            self.seen.clear();
            self.fetch(ctx);
            self.look(ctx.shared);
        }
        self.skip = kit::scrolled(self.skip, at, self.list_rows(ctx.shared), items.len());
    }

    fn list_rows(&self, shared: &Shared) -> usize {
        let rows = kit::body(shared).height / LIST_SHARE;
        self.items().len().min(usize::from(rows.max(3)))
    }

    /// Rows that the text below the list has.
    fn text_rows(&self, shared: &Shared) -> usize {
        let theme = kit::theme_of(shared);
        let look = kit::Look::new(shared, &theme);
        let columns = kit::body(shared).width.into();
        let title = self
            .all
            .as_ref()
            .map_or(1, |all| page::title(all, &look, columns).len());
        usize::from(kit::body(shared).height).saturating_sub(self.list_rows(shared) + title)
    }

    /// Marks what is on the screen now as seen. What was seen in another layout does not count.
    fn look(&mut self, shared: &Shared) {
        if self.shown_proposal().is_none() {
            return self.seen.clear();
        }
        let (rows, lines) = (self.text_rows(shared), self.shown_lines(shared).len());
        self.below = self.below.min(lines.saturating_sub(rows));
        if self.seen.len() != lines {
            self.seen = vec![false; lines];
        }
        // The last row says how much is below, while there is more.
        let end = if self.below + rows >= lines {
            lines
        } else {
            self.below + rows.saturating_sub(1)
        };
        self.seen[self.below..end].fill(true);
    }

    fn shown_lines(&self, shared: &Shared) -> Vec<Line<'static>> {
        let theme = kit::theme_of(shared);
        let look = kit::Look::new(shared, &theme);
        self.text(&look, kit::body(shared).width.into())
    }

    fn hidden(&self) -> usize {
        match self.seen.as_slice() {
            [] => usize::MAX,
            seen => seen.iter().filter(|seen| !**seen).count(),
        }
    }

    /// What would be signed: exactly the lines of the proposal, on the log that was verified here. Nothing, where a
    /// session is enough.
    fn to_sign(&self, shared: &Shared) -> Result<Option<PolicyToSign>, String> {
        let (Some(detail), Some(session)) = (self.shown_proposal(), &shared.session) else {
            return Err("it is not here yet".into());
        };
        if detail.step_up == StepUp::None {
            return Ok(None);
        }
        let head = head_of(&shared.chain, &session.origin).map_err(|error| error.to_string())?;
        let shown: Vec<String> = self
            .shown_lines(shared)
            .iter()
            .map(ToString::to_string)
            .collect();
        Ok(Some(PolicyToSign {
            operator: session.name.clone(),
            detail: detail.clone(),
            view: digest_of(&shown.join("\n")),
            head,
        }))
    }

    fn text(&self, look: &kit::Look<'_>, columns: usize) -> Vec<Line<'static>> {
        match self.current() {
            Some(Item::Proposal(_)) => match self.shown_proposal() {
                Some(detail) => {
                    let simulating = self
                        .simulation_asked
                        .is_some_and(|(_, call)| call.is_some());
                    page::proposal(detail, self.shown_simulation(), simulating, look, columns)
                }
                None => vec![look.line(Role::Muted, " asking for its text")],
            },
            Some(Item::Version(_)) => match self.shown_version() {
                Some(detail) => page::version(detail, look, columns),
                None => vec![look.line(Role::Muted, " asking for its text")],
            },
            None => Vec::new(),
        }
    }

    fn scroll(&mut self, by: isize, shared: &Shared) {
        let lines = self.shown_lines(shared).len();
        let last = lines.saturating_sub(self.text_rows(shared));
        self.below = self.below.saturating_add_signed(by).min(last);
        self.look(shared);
    }

    /// Who proposed what the cursor is on, and which proposal it is or was.
    fn proposer(&self) -> Option<(&str, ProposalId)> {
        if let Some(detail) = self.shown_proposal() {
            return Some((&detail.row.proposed_by, detail.row.id));
        }
        let row = &self.shown_version()?.row;
        Some((&row.proposed_by, row.proposal?))
    }

    /// Ways to whoever proposed it, and to its records.
    fn related(&self, ctx: &mut Ctx<'_>) {
        let Some((name, id)) = self.proposer() else {
            return;
        };
        let records = Choice::Jump(Jump {
            screen: ScreenId::Audit,
            id: None,
            filter: Some(format!("subject={id}")),
        });
        let trail = ("audit trail", "every record about it".to_owned(), records);
        let title = format!("WHAT BELONGS TO {id}");
        let ways = [held::entry(name), trail];
        *ctx.overlay = Some(Overlay::Menu(Menu::of_ways(title, ways)));
    }

    /// The whole text, file after file.
    fn open(&self, ctx: &mut Ctx<'_>) {
        let (title, files) = match (self.shown_proposal(), self.shown_version()) {
            (Some(detail), _) => (detail.row.id.to_string(), &detail.files),
            (_, Some(detail)) => (
                format!("policy version {}", detail.row.version),
                &detail.files,
            ),
            _ => return,
        };
        let mut lines = Vec::new();
        for (name, text) in files {
            lines.push(format!("{name}:"));
            lines.extend(text.lines().map(|line| format!("  {line}")));
            lines.push(String::new());
        }
        *ctx.overlay = Some(Overlay::Page(title, lines, 0));
    }

    fn command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        let half = isize::try_from(self.text_rows(ctx.shared) / 2)
            .unwrap_or(1)
            .max(1);
        let far = 1 << 20;
        match command {
            Command::Down | Command::NextObject => self.step(1, ctx),
            Command::Up | Command::PreviousObject => self.step(-1, ctx),
            Command::First => self.step(-far, ctx),
            Command::Last => self.step(far, ctx),
            Command::HalfPageDown => self.scroll(half, ctx.shared),
            Command::HalfPageUp => self.scroll(-half, ctx.shared),
            Command::Refresh => {
                self.forget();
                self.ask(ctx);
            }
            Command::Open => self.open(ctx),
            Command::Related => self.related(ctx),
            Command::Raw => {
                if let Some(subject) = self.subject(ctx.shared) {
                    let lines = subject.json.lines().map(str::to_owned).collect();
                    *ctx.overlay = Some(Overlay::Page(subject.name, lines, 0));
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self) {
        self.version = None;
        self.proposal = None;
        self.simulation = None;
        self.simulation_asked = None;
        self.seen.clear();
    }

    fn reply(&mut self, id: CallId, event: &Event, ctx: &mut Ctx<'_>) {
        let Event::Reply(_, reply) = event else {
            return;
        };
        let what = if self.asked == Some(id) {
            self.asked = None;
            "policies"
        } else if self.detail_asked == Some(id) {
            self.detail_asked = None;
            "the policy's text"
        } else if self
            .simulation_asked
            .is_some_and(|(_, asked)| asked == Some(id))
        {
            "the simulation"
        } else {
            return;
        };
        match reply.as_ref() {
            Ok(Reply::Policies(all)) => {
                self.all = Some(all.as_ref().clone());
                self.fetch(ctx);
            }
            Ok(Reply::Policy(detail)) => self.version = Some(detail.as_ref().clone()),
            Ok(Reply::Proposal(detail)) => self.proposal = Some(detail.as_ref().clone()),
            Ok(Reply::Simulation(simulation)) => {
                if let Some((of, _)) = self.simulation_asked.take() {
                    self.simulation = Some((of, simulation.as_ref().clone()));
                }
            }
            Ok(_) => {}
            Err(error) => {
                if let Some((_, asked)) = &mut self.simulation_asked
                    && *asked == Some(id)
                {
                    *asked = None;
                }
                ctx.failed(what, error);
            }
        }
    }
}

impl PolicyScreen {
    /// What comes while another screen is shown, or something lies over this one, was not seen.
    fn look_if_shown(&mut self, ctx: &Ctx<'_>) {
        if ctx.current == ScreenId::Policy && !ctx.frozen {
            self.look(ctx.shared);
        }
    }
}

impl Screen for PolicyScreen {
    fn update(&mut self, event: &Event, ctx: &mut Ctx<'_>) {
        match event {
            Event::Reply(id, _) => {
                self.reply(*id, event, ctx);
                self.look_if_shown(ctx);
            }
            Event::Resized(..) => {
                self.seen.clear();
                self.look_if_shown(ctx);
            }
            Event::Feed(item) if item.event.kind.starts_with("policy.") && self.all.is_some() => {
                self.forget();
                self.ask(ctx);
            }
            Event::Command(command) => self.command(*command, ctx),
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>) {
        if self.all.is_none() && self.asked.is_none() {
            self.ask(ctx);
        }
        self.look(ctx.shared);
    }

    fn jump(&mut self, jump: &Jump, ctx: &mut Ctx<'_>) {
        self.cursor = jump
            .id
            .as_deref()
            .and_then(|id| id.parse().ok())
            .map(Item::Proposal);
        self.below = 0;
        self.seen.clear();
        self.ask(ctx);
    }

    fn view(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let look = kit::Look::new(shared, theme);
        let columns = usize::from(area.width);
        let Some(all) = &self.all else {
            let words = [
                look.rule("POLICY", "", columns),
                look.line(Role::Muted, " asking"),
            ];
            return kit::paint(frame.buffer, area, &words, 0);
        };
        let items = self.items();
        let (at, rows) = (self.at(&items), self.list_rows(shared));
        let mut lines = page::title(all, &look, columns);
        lines.extend(
            items
                .iter()
                .enumerate()
                .skip(self.skip)
                .take(rows)
                .map(|(n, item)| page::row(all, *item, n == at, &look, columns)),
        );
        kit::paint(frame.buffer, area, &lines, 0);
        let head = lines.len() as u16;
        let below = Rect {
            y: area.y + head,
            height: area.height.saturating_sub(head),
            ..area
        };
        let text = self.text(&look, columns);
        kit::paint(frame.buffer, below, &text, self.below);
        let more = text
            .len()
            .saturating_sub(self.below + usize::from(below.height));
        if more > 0 && below.height > 0 {
            let words = format!("{more} lines below: ctrl-d");
            let last = Rect {
                y: below.bottom() - 1,
                height: 1,
                ..below
            };
            crate::console::paint::clear(frame.buffer, last);
            let line = look.rule_in("", &words, columns, Role::Warn);
            kit::paint(frame.buffer, last, &[line], 0);
        }
        frame.region(Region {
            id: 8,
            top: below.top(),
            bottom: below.bottom(),
            offset: self.below,
        });
    }

    fn acts(&self, shared: &Shared) -> Vec<Act> {
        let Some(detail) = self.shown_proposal() else {
            return Vec::new();
        };
        let mut acts = vec![
            Act {
                kind: ActKind::Approve,
                effect: format!(
                    "lets this text decide every request, as version {}",
                    detail.row.base + 1
                ),
                refused: decide::approve_refused(detail, self.hidden())
                    .or_else(|| self.to_sign(shared).err()),
            },
            Act {
                kind: ActKind::Deny,
                effect: "ends this proposal; what is in force stays".to_owned(),
                refused: decide::deny_refused(detail),
            },
        ];
        let own = shared
            .session
            .as_ref()
            .is_some_and(|session| session.name == detail.row.proposed_by);
        if own || shared.holds(Environment::Production, &[crate::wire::Role::Admin]) {
            acts.push(Act {
                kind: ActKind::Withdraw,
                effect: "takes the proposal back; what is in force stays".to_owned(),
                refused: decide::withdraw_refused(detail),
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
            return ctx.toast(Level::Bad, why.clone());
        }
        let Some(detail) = self.shown_proposal() else {
            return;
        };
        let simulation = self.shown_simulation();
        let sheet = match kind {
            ActKind::Approve => match self.to_sign(ctx.shared) {
                Ok(to_sign) => decide::approve_sheet(detail, simulation, to_sign),
                Err(why) => return ctx.toast(Level::Bad, why),
            },
            ActKind::Deny => decide::deny_sheet(detail, simulation, self.to_sign(ctx.shared)),
            ActKind::Withdraw => decide::withdraw_sheet(detail),
            _ => return,
        };
        ctx.sheet(sheet);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Command> {
        vec![
            Command::Down,
            Command::Acts,
            Command::HalfPageDown,
            Command::Open,
            Command::Raw,
            Command::Export,
            Command::Refresh,
            Command::Help,
        ]
    }

    fn available(&self, command: Command, _shared: &Shared) -> Available {
        match command {
            Command::Open | Command::Raw
                if self.shown_proposal().is_some() || self.shown_version().is_some() =>
            {
                Ok(())
            }
            Command::Open | Command::Raw => Err("its text is not here yet"),
            Command::NextObject | Command::PreviousObject => Ok(()),
            Command::Explain | Command::Diff => {
                Err("what is proposed is explained, compared and simulated below the list")
            }
            Command::Related if self.proposer().is_some() => Ok(()),
            Command::Related => {
                Err("what a version decided is in the log: `/` on the audit screen")
            }
            Command::Sort | Command::SortReverse => {
                Err("what waits comes first, then the versions, newest first")
            }
            Command::Mark | Command::MarkRange | Command::MarkClear => {
                Err("texts are decided one by one: nothing is marked")
            }
            Command::FindNext | Command::FindPrevious => {
                Err("nothing is filtered here: j and k go through the list")
            }
            Command::ZoomIn | Command::ZoomOut | Command::ZoomNow => {
                Err("there is no timeline here; versions are listed, newest first")
            }
            _ => Err("the text stands below its list: ctrl-d and ctrl-u turn its pages"),
        }
    }

    fn subject(&self, _shared: &Shared) -> Option<Subject> {
        if let Some(detail) = self.shown_proposal() {
            return Some(Subject {
                id: detail.row.id.to_string(),
                name: format!("proposal by {}", detail.row.proposed_by),
                twin: format!("countersign policy show {}", detail.row.id),
                json: serde_json::to_string_pretty(&detail.row).unwrap_or_default(),
            });
        }
        let detail = self.shown_version()?;
        Some(Subject {
            id: detail.row.digest.to_string(),
            name: format!("policy version {}", detail.row.version),
            twin: format!("countersign policy show {}", detail.row.version),
            json: serde_json::to_string_pretty(&detail.row).unwrap_or_default(),
        })
    }

    fn twin(&self, shared: &Shared) -> String {
        self.subject(shared).map_or_else(
            || "countersign policy list".to_owned(),
            |subject| subject.twin,
        )
    }

    fn badge(&self, _shared: &Shared) -> Option<u64> {
        let all = self.all.as_ref()?;
        let waiting = all
            .proposals
            .iter()
            .filter(|row| row.state == ProposalState::AwaitingApproval)
            .count();
        (waiting > 0).then_some(waiting as u64)
    }

    fn export(&self, _shared: &Shared) -> Option<(&'static str, String)> {
        let json = match (self.shown_proposal(), self.shown_version()) {
            (Some(detail), _) => serde_json::to_string_pretty(detail),
            (_, Some(detail)) => serde_json::to_string_pretty(detail),
            _ => return None,
        };
        Some(("json", json.ok()?))
    }

    fn tick_s(&self, _shared: &Shared) -> Option<u32> {
        self.shown_proposal().map(|_| 60)
    }
}
