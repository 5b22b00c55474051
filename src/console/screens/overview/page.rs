//! The overview as lines, and what each line opens. Only figures that the broker counted are here, in the order
//! of the questions: what needs a person now, what hurts today, is the service good, hygiene.

use super::{sections, service};
use crate::client::chain::ChainState;
use crate::console::effect::Call;
use crate::console::screens::{
    Jump,
    kit::{Look, beside},
};
use crate::console::theme::Role;
use crate::wire::Overview;
use ratatui::text::{Line, Span};

/// Where a figure leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To a list on a screen, or to something there.
    Jump(Jump),
    /// To a page that the broker has to be asked for.
    Ask(Call),
}

impl From<Jump> for Way {
    fn from(jump: Jump) -> Self {
        Self::Jump(jump)
    }
}

/// A way from a figure to what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Names it while figures change: the cursor is kept by this.
    pub key: String,
    /// On which line of the page.
    pub line: usize,
    /// In which column the cursor stands.
    pub column: usize,
    /// Where it leads.
    pub way: Way,
}

/// Lines, and what on them can be opened.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The lines.
    pub lines: Vec<Line<'static>>,
    /// Their places, from the top.
    pub places: Vec<Place>,
}

impl Page {
    /// Adds a line that opens nothing.
    pub fn text(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// Adds a line whose figure at `column` leads somewhere.
    pub fn item(&mut self, line: Line<'static>, key: impl Into<String>, way: impl Into<Way>) {
        self.place(key, 0, way);
        self.lines.push(line);
    }

    /// Says that the line to be added next has something to open at `column`.
    pub fn place(&mut self, key: impl Into<String>, column: usize, way: impl Into<Way>) {
        self.places.push(Place {
            key: key.into(),
            line: self.lines.len(),
            column,
            way: way.into(),
        });
    }

    /// Adds another page below.
    pub fn below(&mut self, other: Self) {
        let lines = self.lines.len();
        self.lines.extend(other.lines);
        self.places
            .extend(other.places.into_iter().map(|place| Place {
                line: place.line + lines,
                ..place
            }));
    }

    /// This page to the left of another one.
    #[must_use]
    pub fn left_of(
        self,
        right: Self,
        columns: usize,
        gap: &Span<'static>,
        sign: &'static str,
    ) -> Self {
        let start = columns + gap.content.chars().count();
        let mut places = self.places;
        places.extend(right.places.into_iter().map(|place| Place {
            column: place.column + start,
            ..place
        }));
        places.sort_by_key(|place| (place.line, place.column));
        Self {
            lines: beside(self.lines, right.lines, columns, gap, sign),
            places,
        }
    }

    /// The place that a step leads to from `key`; the first one if the cursor is nowhere.
    pub fn step(&self, key: Option<&str>, step: Step) -> Option<&Place> {
        let here = self
            .places
            .iter()
            .find(|place| Some(place.key.as_str()) == key);
        let Some(here) = here else {
            return self.places.first();
        };
        let away = |place: &&Place| {
            (
                place.line.abs_diff(here.line),
                place.column.abs_diff(here.column),
            )
        };
        let others = self.places.iter();
        let found = match step {
            Step::Down => others
                .filter(|place| place.line > here.line)
                .min_by_key(|place| (place.column != here.column, away(place))),
            Step::Up => others
                .filter(|place| place.line < here.line)
                .min_by_key(|place| (place.column != here.column, away(place))),
            Step::Right => others
                .filter(|place| place.column > here.column)
                .min_by_key(away),
            Step::Left => others
                .filter(|place| place.column < here.column)
                .min_by_key(away),
        };
        Some(found.unwrap_or(here))
    }
}

/// Which way the cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Towards the top.
    Up,
    /// Towards the bottom.
    Down,
    /// To the column on the left.
    Left,
    /// To the column on the right.
    Right,
}

/// From this width on there are two columns.
pub const WIDE: usize = 110;

/// The page for so many columns and rows.
///
/// ```text
/// 80: NEEDS YOU NOW                120: NEEDS YOU NOW
///     TIME TO EXPIRY                    TIME TO EXPIRY   │ ISSUANCE
///     ROTATION                          ROTATION         │ APPROVALS
///     ISSUANCE                          DUE              │ REVOCATIONS
///     REVOCATIONS   APPROVALS                            │ HYGIENE
///     LAST                              RECENT
/// ```
pub fn page(
    overview: &Overview,
    chain: &ChainState,
    look: &Look<'_>,
    columns: usize,
    rows: usize,
) -> Page {
    let wide = columns >= WIDE;
    let mut page = sections::needs(overview, look, columns, if wide { 8 } else { 3 });
    let sign = look.theme.glyphs.cut;
    if wide {
        let gap = Span::styled(
            format!(" {} ", look.theme.glyphs.vertical),
            look.style(Role::Rule),
        );
        let left_columns = columns * 55 / 100;
        let right_columns = columns - left_columns - 3;
        page.text(Line::default());
        let mut left = sections::expiry_tall(overview, look, left_columns);
        left.below(sections::rotation(overview, look, left_columns));
        left.below(sections::due(overview, look, left_columns));
        let mut right = service::issuance_tall(overview, look, right_columns);
        right.below(service::approvals(overview, look, right_columns, true));
        right.below(service::revocations(overview, look, right_columns, true));
        right.below(sections::hygiene(overview, look, right_columns));
        page.below(left.left_of(right, left_columns, &gap, sign));
        page.text(Line::default());
    } else {
        page.below(sections::expiry_short(overview, look, columns));
        page.below(sections::rotation(overview, look, columns));
        page.below(service::issuance_short(overview, look, columns));
        let half = columns / 2 - 1;
        let left = service::revocations(overview, look, half, false);
        let right = service::approvals(overview, look, columns - half - 1, false);
        page.below(left.left_of(right, half, &Span::raw(" "), sign));
    }
    let room = rows.saturating_sub(page.lines.len() + 1).max(1);
    page.below(sections::recent(overview, chain, look, columns, room));
    page
}
