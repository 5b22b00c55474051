//! Plain-text tables for the command line: widths by content, every cell made safe.

use super::sanitize::{Cut, pad, safe, width};

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Names and words.
    #[default]
    Left,
    /// Numbers and times left.
    Right,
}

/// A table under construction. Cells are sanitised when they are added, so hostile names stay text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    titles: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    colour: bool,
    max_width: Option<usize>,
}

impl Table {
    /// A table with these column titles. `colour` makes the header bold; `false` prints no escape at all.
    pub fn new(titles: &[(&str, Align)], colour: bool) -> Self {
        let titles = titles
            .iter()
            .map(|(title, align)| (safe(title).into_owned(), *align))
            .collect();
        Self {
            titles,
            rows: Vec::new(),
            colour,
            max_width: None,
        }
    }

    /// Cuts the widest columns until a line takes at most `columns`; without it nothing is cut.
    #[must_use]
    pub fn within(mut self, columns: usize) -> Self {
        self.max_width = Some(columns);
        self
    }

    /// Adds a row; missing cells are blank, cells beyond the titles are left out.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(
            cells
                .into_iter()
                .take(self.titles.len())
                .map(|c| safe(c.as_ref()).into_owned())
                .collect(),
        );
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, each ended by `\n`, two blanks between columns, no trailing blanks.
    pub fn render(&self) -> String {
        let widths = self.widths();
        let titles: Vec<String> = self.titles.iter().map(|(title, _)| title.clone()).collect();
        let mut out = String::new();
        let header = self.line(&titles, &widths);
        if self.colour {
            out.push_str("\x1b[1m");
            out.push_str(&header);
            out.push_str("\x1b[m\n");
        } else {
            out.push_str(&header);
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&self.line(row, &widths));
            out.push('\n');
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (i, columns) in widths.iter().enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            let cell = cells.get(i).map_or("", String::as_str);
            line.push_str(&pad(
                cell,
                *columns,
                Cut::Middle,
                self.titles[i].1 == Align::Right,
            ));
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.titles.iter().map(|(title, _)| width(title)).collect();
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate() {
                widths[i] = widths[i].max(width(cell));
            }
        }
        if let Some(most) = self.max_width {
            let gaps = 2 * widths.len().saturating_sub(1);
            while widths.iter().sum::<usize>() + gaps > most {
                let widest = widths.iter_mut().max().filter(|w| **w > 8);
                let Some(widest) = widest else { break };
                *widest -= 1;
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(colour: bool) -> Table {
        let mut table = Table::new(
            &[
                ("NAME", Align::Left),
                ("LEFT", Align::Right),
                ("OWNER", Align::Left),
            ],
            colour,
        );
        table.row(["pg-ledger-rw", "03:10:00", "ledger"]);
        table.row(["日本\x1b[31m", "never"]);
        table
    }

    #[test]
    fn columns_line_up_and_escapes_are_shown() {
        assert_eq!(
            table(false).render(),
            "NAME              LEFT  OWNER\npg-ledger-rw  03:10:00  ledger\n日本␛[31m        never\n"
        );
        assert!(table(true).render().starts_with("\x1b[1mNAME"));
        assert!(!table(true).is_empty());
    }

    #[test]
    fn a_narrow_screen_cuts_the_widest_column_in_its_middle() {
        let text = table(false).within(28).render();
        assert!(text.lines().all(|line| width(line) <= 28), "{text}");
        assert!(text.contains("pg-le…r-rw"), "{text}");
    }
}
