//! Printing what was found: tables for people; JSON, lines of JSON and CSV for programs.
//!
//! Tables and CSV pass outside text through `display::sanitize`. JSON carries raw values, with every
//! character that a terminal could obey written as an escape.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::args::Format;
use crate::display::sanitize::{is_hidden, safe, safe_lines};
use crate::display::table::{Align, Table};
use crate::display::time;

/// For whom values are written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Where times are seen from.
    pub now: DateTime<Utc>,
    /// Whether escape sequences for colour are wanted.
    pub colour: bool,
    /// How wide a table may be.
    pub columns: Option<usize>,
}

impl Style {
    /// A moment: as a distance for people, RFC 3339 for programs.
    pub fn moment(&self, at: DateTime<Utc>) -> String {
        match self.format {
            Format::Table => time::ago(at, self.now),
            _ => time::record(at),
        }
    }

    /// A moment that may be missing, with the word for that; blank for programs.
    pub fn moment_or(&self, at: Option<DateTime<Utc>>, missing: &str) -> String {
        match (at, self.format) {
            (Some(at), _) => self.moment(at),
            (None, Format::Table) => missing.to_owned(),
            (None, _) => String::new(),
        }
    }

    /// The same for one that may be missing.
    pub fn full_or(&self, at: Option<DateTime<Utc>>, missing: &str) -> String {
        at.map_or_else(|| missing.to_owned(), |at| self.full(at))
    }

    /// A moment, whole: for details.
    pub fn full(&self, at: DateTime<Utc>) -> String {
        let utc = time::TimeFormat::Utc.full(at, self.now);
        format!("{utc} ({})", time::ago(at, self.now))
    }

    /// A span in seconds: `4h12m` for people, the number for programs.
    pub fn seconds(&self, seconds: u64) -> String {
        match self.format {
            Format::Table => span(seconds),
            _ => seconds.to_string(),
        }
    }
}

/// A span in seconds as people read it.
pub fn span(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 1000);
    time::compact(chrono::TimeDelta::try_seconds(seconds).unwrap_or(chrono::TimeDelta::MAX))
}

/// Something that is a row of a list.
pub trait Row: Serialize {
    /// Titles and alignment; a CSV has the titles in lower case.
    const COLUMNS: &'static [(&'static str, Align)];

    /// One cell a column. Need not be safe: the table sees to that.
    fn cells(&self, style: &Style) -> Vec<String>;
}

/// Prints a list row by row, so that long ones need no memory where the format allows it.
pub struct List<'a> {
    out: &'a mut dyn Write,
    style: Style,
    table: Option<Table>,
    rows: u64,
}

impl<'a> List<'a> {
    /// Begins a list of `T`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin<T: Row>(out: &'a mut dyn Write, style: Style) -> io::Result<Self> {
        let mut table = None;
        match style.format {
            Format::Table => {
                let empty = Table::new(T::COLUMNS, style.colour);
                table = Some(match style.columns {
                    Some(columns) => empty.within(columns),
                    None => empty,
                });
            }
            Format::Json => out.write_all(b"[")?,
            Format::Ndjson => {}
            Format::Csv => {
                let titles = T::COLUMNS.iter();
                let titles = titles.map(|(title, _)| title.to_lowercase().replace([' ', '-'], "_"));
                write_csv_row(out, titles)?;
            }
        }
        Ok(Self {
            out,
            style,
            table,
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn row<T: Row>(&mut self, row: &T) -> io::Result<()> {
        match self.style.format {
            Format::Table => {
                if let Some(table) = &mut self.table {
                    table.row(row.cells(&self.style));
                }
            }
            Format::Json => {
                let before: &[u8] = if self.rows == 0 { b"\n" } else { b",\n" };
                self.out.write_all(before)?;
                write_json(self.out, row, false)?;
            }
            Format::Ndjson => {
                write_json(self.out, row, false)?;
                self.out.write_all(b"\n")?;
            }
            Format::Csv => write_csv_row(self.out, row.cells(&self.style))?,
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the list. An empty table says so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self) -> io::Result<()> {
        match (self.table, self.style.format) {
            (Some(table), _) if table.is_empty() => self.out.write_all(b"Nothing matches.\n")?,
            (Some(table), _) => self.out.write_all(table.render().as_bytes())?,
            (None, Format::Json) if self.rows == 0 => self.out.write_all(b"]\n")?,
            (None, Format::Json) => self.out.write_all(b"\n]\n")?,
            (None, _) => {}
        }
        self.out.flush()
    }
}

/// Prints one object: `text` for people, else the object itself; CSV as one row under a header.
///
/// # Errors
/// When it cannot be written.
pub fn one<T: Serialize, R: Row>(
    out: &mut dyn Write,
    style: Style,
    object: &T,
    row: &R,
    text: impl FnOnce(&Style) -> String,
) -> io::Result<()> {
    match style.format {
        Format::Table => out.write_all(text(&style).as_bytes())?,
        Format::Csv => {
            let mut list = List::begin::<R>(out, style)?;
            list.row(row)?;
            return list.end();
        }
        Format::Json | Format::Ndjson => {
            write_json(out, object, style.format == Format::Json)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()
}

/// A page about one thing: facts, prose and small tables, each made safe.
#[derive(Debug, Default)]
pub struct Sheet {
    text: String,
}

impl Sheet {
    /// A line of its own.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(safe(text).trim_end());
        self.text.push('\n');
    }

    /// A title over what follows.
    pub fn section(&mut self, title: &str) {
        self.text.push('\n');
        self.line(title);
    }

    /// A name and its value; nothing if there is no value.
    pub fn fact(&mut self, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        if !value.is_empty() {
            self.text.push_str(&format!("{name:<14} {}\n", safe(value)));
        }
    }

    /// Somebody's own words, behind a gutter.
    pub fn quote(&mut self, words: &str) {
        for line in safe_lines(words) {
            self.text.push_str("  | ");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// A table, indented.
    pub fn table(&mut self, table: &Table) {
        for line in table.render().lines() {
            self.text.push_str("  ");
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.text
    }
}

/// Writes one line of CSV, each cell made safe.
///
/// # Errors
/// When it cannot be written.
pub fn write_csv_row<S: AsRef<str>>(
    out: &mut dyn Write,
    cells: impl IntoIterator<Item = S>,
) -> io::Result<()> {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let cell = safe(cell.as_ref());
        // A spreadsheet would take it for a formula.
        let guard = if cell.starts_with(['=', '+', '-', '@']) {
            "'"
        } else {
            ""
        };
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{guard}{}\"", cell.replace('"', "\"\""))?;
        } else {
            write!(out, "{guard}{cell}")?;
        }
    }
    out.write_all(b"\r\n")
}

/// Writes a value as JSON in which nothing can be obeyed by a terminal.
///
/// # Errors
/// When it cannot be written.
pub fn write_json<T: Serialize + ?Sized>(
    out: &mut dyn Write,
    value: &T,
    pretty: bool,
) -> io::Result<()> {
    let written = if pretty {
        value.serialize(&mut Serializer::with_formatter(
            out,
            Escaping(PrettyFormatter::new()),
        ))
    } else {
        value.serialize(&mut Serializer::with_formatter(
            out,
            Escaping(CompactFormatter),
        ))
    };
    written.map_err(io::Error::from)
}

/// A formatter that also escapes what JSON would let through: delete, C1 controls, and characters that
/// hide or reorder others.
struct Escaping<F>(F);

macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        }
    )*};
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    pass! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair {
        name: String,
        at: DateTime<Utc>,
    }

    impl Row for Pair {
        const COLUMNS: &'static [(&'static str, Align)] =
            &[("NAME", Align::Left), ("USED AT", Align::Right)];

        fn cells(&self, style: &Style) -> Vec<String> {
            vec![self.name.clone(), style.moment(self.at)]
        }
    }

    fn list(format: Format, names: &[&str]) -> String {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let style = Style {
            format,
            now: at + chrono::TimeDelta::minutes(38),
            colour: false,
            columns: None,
        };
        let mut out = Vec::new();
        let mut list = List::begin::<Pair>(&mut out, style).unwrap();
        for name in names {
            let name = (*name).to_owned();
            list.row(&Pair { name, at }).unwrap();
        }
        list.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_format_is_what_its_readers_expect() {
        assert_eq!(
            list(Format::Table, &["a/b", "c"]),
            "NAME  USED AT\na/b   38m ago\nc     38m ago\n"
        );
        assert_eq!(list(Format::Table, &[]), "Nothing matches.\n");
        assert_eq!(
            list(Format::Csv, &["a", "say \"x\", y"]),
            "name,used_at\r\na,2026-09-21T14:13:20.000Z\r\n\"say \"\"x\"\", y\",2026-09-21T14:13:20.000Z\r\n"
        );
        for count in 0..3 {
            let names = vec!["x"; count];
            let parsed: Vec<serde_json::Value> =
                serde_json::from_str(&list(Format::Json, &names)).unwrap();
            assert_eq!(parsed.len(), count);
            assert_eq!(list(Format::Ndjson, &names).lines().count(), count);
        }
    }

    #[test]
    fn hostile_text_is_data_in_every_format() {
        let hostile = "\u{1b}[2J\u{9b}31m\u{202e}x\u{7f}\u{e0041}\n\"=cmd";
        for format in [Format::Table, Format::Json, Format::Ndjson, Format::Csv] {
            let text = list(format, &[hostile, "=cmd()"]);
            let stray = text
                .chars()
                .find(|c| is_hidden(*c) && !matches!(c, '\n' | '\r'));
            assert_eq!(stray, None, "{format:?}: {text:?}");
        }
        let back: Vec<serde_json::Value> =
            serde_json::from_str(&list(Format::Json, &[hostile])).unwrap();
        assert_eq!(back[0]["name"], hostile, "JSON loses nothing");
        assert!(list(Format::Csv, &["=cmd()"]).contains("\n'=cmd()"));
    }
}
