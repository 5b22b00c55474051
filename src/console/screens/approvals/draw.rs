//! How the queue and a review are drawn, and the answers to *why*, *the record* and *what belongs to it*.

use super::{Approvals, QUEUE, decide, queue};
use crate::console::backend::{Frame, Region};
use crate::console::model::{Choice, Ctx, Menu, Overlay, Shared};
use crate::console::screens::{Jump, ScreenId, held, kit};
use crate::console::theme::{Role, Theme};
use crate::wire::burst::Item;
use ratatui::layout::Rect;
use ratatui::text::Line;

impl Approvals {
    /// Draws the screen: the queue, or a review with the queue in its margin where there is room.
    pub(super) fn draw(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let Some(open) = &self.open else {
            self.list(shared, area, frame, theme);
            return;
        };
        let pane = Self::review_area(area);
        if pane.x > area.x {
            let margin = Rect {
                width: QUEUE,
                ..area
            };
            self.margin(shared, margin, frame, theme);
            for y in area.top()..area.bottom() {
                frame.buffer[(area.x + QUEUE, y)]
                    .set_symbol(theme.glyphs.vertical)
                    .set_style(theme.style(Role::Rule));
            }
        }
        if let Some(page) = self.page(shared, theme, area) {
            kit::paint(frame.buffer, pane, &page.lines, open.scroll);
            let below = page
                .lines
                .len()
                .saturating_sub(open.scroll + usize::from(area.height));
            if below > 0 {
                let look = kit::Look::new(shared, theme);
                let more = look.rule_in(
                    "",
                    &format!("{below} lines below: ctrl-d"),
                    pane.width.into(),
                    Role::Warn,
                );
                let last = Rect {
                    y: pane.bottom() - 1,
                    height: 1,
                    ..pane
                };
                crate::console::paint::clear(frame.buffer, last);
                kit::paint(frame.buffer, last, &[more], 0);
            }
        } else {
            let look = kit::Look::new(shared, theme);
            let words = if open.asked.is_some() {
                "asking the broker"
            } else {
                "could not be read; r asks again"
            };
            let lines = [
                look.rule(&open.id.to_string(), "", pane.width.into()),
                look.line(Role::Muted, format!(" {words}")),
            ];
            kit::paint(frame.buffer, pane, &lines, 0);
        }
    }

    fn list(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let look = kit::Look::new(shared, theme);
        let columns = usize::from(area.width);
        let inside = self.inside.and_then(|_| self.burst(shared));
        let title = if let Some(burst) = &inside {
            format!(
                "QUEUE  {} BURST of {}",
                theme.glyphs.arrow,
                burst.requester()
            )
        } else if self.filter.is_empty() {
            "QUEUE".to_owned()
        } else {
            format!("QUEUE  / {}", self.filter)
        };
        let note = match self.asked {
            Some(_) if self.order.is_empty() => "asking".to_owned(),
            _ if inside.is_some() => format!(
                "{} requests, each by itself; esc goes back",
                self.order.len()
            ),
            _ => format!("{} by risk, then deadline", self.order.len()),
        };
        let mut lines = vec![
            look.rule(&title, &note, columns),
            queue::heads(&look, columns),
        ];
        if self.order.is_empty() {
            let words = if self.filter.is_empty() {
                "nothing waits for a decision"
            } else {
                "nothing matches; esc clears the filter"
            };
            lines.push(look.line(Role::Muted, format!(" {words}")));
        }
        kit::paint(frame.buffer, area, &lines, 0);
        let body = Rect {
            y: area.y + 2,
            height: area.height.saturating_sub(2),
            ..area
        };
        let shown: Vec<Line<'_>> = self
            .shown(shared, self.skip, body.height.into())
            .map(|(item, here)| queue::line(&item, &look, columns, here))
            .collect();
        if !self.order.is_empty() {
            kit::paint(frame.buffer, body, &shown, 0);
            frame.region(Region {
                id: 2,
                top: body.top(),
                bottom: body.bottom(),
                offset: self.skip,
            });
        }
    }

    /// The items from `skip` on, at most `rows`, each with whether the cursor is on it.
    fn shown<'a>(
        &self,
        shared: &'a Shared,
        skip: usize,
        rows: usize,
    ) -> impl Iterator<Item = (Item<'a>, bool)> {
        let entries = self.order.iter().skip(skip).take(rows);
        entries.filter_map(|entry| {
            let item = entry.item(&shared.requests)?;
            Some((item, Some(entry.key) == self.cursor))
        })
    }

    /// The queue beside a review, two lines each.
    fn margin(&self, shared: &Shared, area: Rect, frame: &mut Frame<'_>, theme: &Theme) {
        let look = kit::Look::new(shared, theme);
        let columns = usize::from(area.width);
        let title = if self.inside.is_some() {
            "BURST"
        } else {
            "QUEUE"
        };
        let mut lines = vec![look.rule(title, &format!("{}, by risk", self.order.len()), columns)];
        let fits = usize::from(area.height.saturating_sub(1)) / 2;
        let skip = kit::scrolled(0, self.row, fits, self.order.len());
        for (item, here) in self.shown(shared, skip, fits) {
            lines.extend(queue::narrow(&item, &look, columns, here));
        }
        kit::paint(frame.buffer, area, &lines, 0);
    }

    pub(super) fn explain(&self, ctx: &mut Ctx<'_>) {
        let Some(detail) = self.detail() else { return };
        let mut lines = vec![format!("policy {}", detail.policy), String::new()];
        for factor in detail.risk.iter().flat_map(|risk| &risk.factors) {
            lines.push(format!(
                "{:>+4}  {}: {}",
                factor.points, factor.id, factor.reason
            ));
        }
        lines.push(String::new());
        for rule in &detail.rules {
            lines.push(format!("{:<5} {}: {}", rule.effect, rule.id, rule.reason));
        }
        lines.push(String::new());
        if let Some(quorum) = &detail.quorum {
            lines.push(format!(
                "{} approvals{}",
                quorum.count,
                decide::quorum_words(quorum)
            ));
        }
        lines.push(
            "a person's own request is never theirs to decide; the first denial ends it".into(),
        );
        *ctx.overlay = Some(Overlay::Page("WHY".into(), lines, 0));
    }

    pub(super) fn raw(&self, ctx: &mut Ctx<'_>) {
        let Some(detail) = self.detail() else { return };
        let text = serde_json::to_string_pretty(detail).unwrap_or_default();
        let lines = text.lines().map(str::to_owned).collect();
        *ctx.overlay = Some(Overlay::Page(detail.row.id.to_string(), lines, 0));
    }

    pub(super) fn related(&self, ctx: &mut Ctx<'_>) {
        let known = self.detail().and_then(|detail| detail.credential_id);
        let Some(row) = self.pointed(ctx.shared) else {
            return;
        };
        let credentials = |id: Option<String>, filter| {
            Choice::Jump(Jump {
                screen: ScreenId::Credentials,
                id,
                filter,
            })
        };
        let its = match known {
            Some(id) => credentials(Some(id.to_string()), None),
            None => credentials(None, Some(format!("name=\"{}\"", row.credential))),
        };
        let theirs = Choice::Jump(Jump {
            screen: ScreenId::Approvals,
            id: None,
            filter: Some(format!("requester=\"{}\"", row.requester)),
        });
        let records = Choice::Jump(Jump {
            screen: ScreenId::Audit,
            id: None,
            filter: Some(format!("subject={}", row.id)),
        });
        let client = format!("client=\"{}\"", row.client);
        let ways = [
            (
                "credential",
                format!("{}, if it is there already", row.credential),
                its,
            ),
            held::entry(&row.requester),
            (
                "requests",
                format!("every request of {}, decided or not", row.requester),
                theirs,
            ),
            (
                "client",
                format!("everything that {} uses", row.client),
                credentials(None, Some(client)),
            ),
            ("audit trail", "every record about it".into(), records),
        ];
        let title = format!("WHAT BELONGS TO {}", row.credential);
        *ctx.overlay = Some(Overlay::Menu(Menu::of_ways(title, ways)));
    }
}
