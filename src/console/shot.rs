//! Pictures of screens: a buffer as self-contained SVG and as PNG. For documents only (feature `dev`).
//!
//! Glyphs are outlines of the bundled DejaVu Sans Mono, so that a picture needs no font to be seen. Box
//! drawing and blocks are painted as geometry, so that cells join without seams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Rect, Transform};
use unicode_width::UnicodeWidthStr;

/// A cell in picture units, and where the letters stand in it.
const CELL: (f32, f32) = (9.0, 19.0);
const BASELINE: f32 = 14.5;
const LETTER_SIZE: f32 = 15.0;
/// Picture units to pixels in a PNG.
const SCALE: f32 = 2.0;

type Rgb = [u8; 3];

/// What the sixteen colours of the pictured terminal look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paper {
    foreground: Rgb,
    background: Rgb,
    sixteen: [Rgb; 16],
}

const fn hex(value: u32) -> Rgb {
    [(value >> 16) as u8, (value >> 8) as u8, value as u8]
}

impl Paper {
    /// A dark terminal.
    pub const DARK: Self = Self {
        foreground: hex(0x00d6_dae0),
        background: hex(0x0014_171c),
        sixteen: [
            hex(0x002b_303b),
            hex(0x00e0_6c75),
            hex(0x008c_c570),
            hex(0x00e5_c07b),
            hex(0x0061_afef),
            hex(0x00c6_78dd),
            hex(0x0056_b6c2),
            hex(0x00ab_b2bf),
            hex(0x005c_6370),
            hex(0x00ff_7b86),
            hex(0x00a5_e075),
            hex(0x00ff_d68a),
            hex(0x0074_c0ff),
            hex(0x00df_8cff),
            hex(0x0067_d4e0),
            hex(0x00ff_ffff),
        ],
    };
    /// A light terminal.
    pub const LIGHT: Self = Self {
        foreground: hex(0x0023_2a35),
        background: hex(0x00fa_fafa),
        sixteen: [
            hex(0x0038_3a42),
            hex(0x00c9_2c2c),
            hex(0x003a_8a34),
            hex(0x00a0_6a00),
            hex(0x0027_5fd0),
            hex(0x00a6_26a4),
            hex(0x0001_7b8a),
            hex(0x00a0_a1a7),
            hex(0x0069_6c77),
            hex(0x00e0_4545),
            hex(0x004c_a345),
            hex(0x00b8_7d00),
            hex(0x0040_78f2),
            hex(0x00c0_40be),
            hex(0x0009_97b3),
            hex(0x0000_0000),
        ],
    };

    fn colour(&self, colour: Color, otherwise: Rgb) -> Rgb {
        let index = match colour {
            Color::Reset => return otherwise,
            Color::Rgb(r, g, b) => return [r, g, b],
            Color::Indexed(n) => return self.indexed(n),
            Color::Black => 0,
            Color::Red => 1,
            Color::Green => 2,
            Color::Yellow => 3,
            Color::Blue => 4,
            Color::Magenta => 5,
            Color::Cyan => 6,
            Color::Gray => 7,
            Color::DarkGray => 8,
            Color::LightRed => 9,
            Color::LightGreen => 10,
            Color::LightYellow => 11,
            Color::LightBlue => 12,
            Color::LightMagenta => 13,
            Color::LightCyan => 14,
            Color::White => 15,
        };
        self.sixteen[index]
    }

    /// The 256 colours as xterm has them: sixteen, a cube, a ramp.
    fn indexed(&self, n: u8) -> Rgb {
        let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
        match n {
            0..16 => self.sixteen[usize::from(n)],
            16..232 => [
                level((n - 16) / 36),
                level((n - 16) / 6 % 6),
                level((n - 16) % 6),
            ],
            _ => [8 + 10 * (n - 232); 3],
        }
    }

    /// Foreground and background of a cell as they are seen.
    fn seen(&self, cell: &Cell) -> (Rgb, Rgb) {
        let mut fg = self.colour(cell.fg, self.foreground);
        let mut bg = self.colour(cell.bg, self.background);
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut fg, &mut bg);
        }
        if cell.modifier.contains(Modifier::DIM) {
            // A little more foreground than half: dim text has to stay readable in a picture.
            fg = std::array::from_fn(|i| ((u16::from(fg[i]) * 5 + u16::from(bg[i]) * 4) / 9) as u8);
        }
        (fg, bg)
    }
}

/// A screen as two pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Scalable, self-contained.
    pub svg: String,
    /// At twice the size.
    pub png: Vec<u8>,
    /// Characters that the bundled font cannot draw; a picture that is to be shown should have none.
    pub missing: BTreeSet<char>,
}

struct Fonts {
    regular: ttf_parser::Face<'static>,
    bold: ttf_parser::Face<'static>,
}

impl Fonts {
    fn bundled() -> Self {
        let face = |bytes| ttf_parser::Face::parse(bytes, 0).expect("the bundled font is whole");
        Self {
            regular: face(include_bytes!("../../assets/fonts/DejaVuSansMono.ttf")),
            bold: face(include_bytes!("../../assets/fonts/DejaVuSansMono-Bold.ttf")),
        }
    }
}

/// Draws a buffer as it would look on that paper.
pub fn render(buffer: &Buffer, paper: &Paper) -> Picture {
    let fonts = Fonts::bundled();
    let mut canvas = Canvas::new(buffer, paper);
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let cell = &buffer[(buffer.area.x + x, buffer.area.y + y)];
            let columns = cell.symbol().width().max(1) as u16;
            canvas.cell(
                cell,
                columns,
                (f32::from(x) * CELL.0, f32::from(y) * CELL.1),
                paper,
                &fonts,
            );
            x += columns;
        }
    }
    canvas.finish()
}

struct Canvas {
    head: String,
    body: String,
    glyphs: BTreeMap<(bool, u16), String>,
    pixels: Pixmap,
    missing: BTreeSet<char>,
}

impl Canvas {
    fn new(buffer: &Buffer, paper: &Paper) -> Self {
        let w = f32::from(buffer.area.width) * CELL.0;
        let h = f32::from(buffer.area.height) * CELL.1;
        let background = css(paper.background);
        let head = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {w} {h}' width='{w}' height='{h}'>\
             <rect width='{w}' height='{h}' fill='{background}'/>"
        );
        let size = (((w * SCALE) as u32).max(1), ((h * SCALE) as u32).max(1));
        let mut pixels = Pixmap::new(size.0, size.1).expect("a screen of at least one pixel");
        pixels.fill(solid(paper.background));
        Self {
            head,
            body: String::new(),
            glyphs: BTreeMap::new(),
            pixels,
            missing: BTreeSet::new(),
        }
    }

    fn cell(&mut self, cell: &Cell, columns: u16, at: (f32, f32), paper: &Paper, fonts: &Fonts) {
        let (fg, bg) = paper.seen(cell);
        let wide = CELL.0 * f32::from(columns);
        if bg != paper.background {
            self.rect([at.0, at.1, at.0 + wide, at.1 + CELL.1], bg);
        }
        let bold = cell.modifier.contains(Modifier::BOLD);
        for c in cell
            .symbol()
            .chars()
            .filter(|c| *c != ' ' && *c != '\u{fe0f}')
        {
            match geometry(c) {
                Some(parts) => {
                    for [left, top, right, bottom] in parts {
                        self.rect([at.0 + left, at.1 + top, at.0 + right, at.1 + bottom], fg);
                    }
                }
                None => self.glyph(c, bold, at, fg, fonts),
            }
        }
        if cell.modifier.contains(Modifier::UNDERLINED) {
            let y = at.1 + BASELINE + 2.0;
            self.rect([at.0, y, at.0 + wide, y + 1.0], fg);
        }
    }

    fn rect(&mut self, [left, top, right, bottom]: [f32; 4], colour: Rgb) {
        let _ = write!(
            self.body,
            "<rect x='{left:.2}' y='{top:.2}' width='{:.2}' height='{:.2}' fill='{}'/>",
            right - left,
            bottom - top,
            css(colour)
        );
        if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
            self.pixels.fill_rect(
                rect,
                &paint(colour),
                Transform::from_scale(SCALE, SCALE),
                None,
            );
        }
    }

    fn glyph(&mut self, c: char, bold: bool, at: (f32, f32), colour: Rgb, fonts: &Fonts) {
        let face = if bold { &fonts.bold } else { &fonts.regular };
        if let Some(letters) = control_picture(c) {
            return self.small(letters, at, colour, face);
        }
        let Some(id) = face.glyph_index(c) else {
            self.missing.insert(c);
            return;
        };
        let mut outline = Outline::new(
            LETTER_SIZE / f32::from(face.units_per_em()),
            (0.0, BASELINE),
        );
        if face.outline_glyph(id, &mut outline).is_none() {
            return;
        }
        if let Some(path) = outline.path.finish() {
            let transform = Transform::from_scale(SCALE, SCALE).pre_translate(at.0, at.1);
            self.pixels
                .fill_path(&path, &paint(colour), FillRule::Winding, transform, None);
        }
        self.glyphs.entry((bold, id.0)).or_insert(outline.svg);
        let _ = write!(
            self.body,
            "<use href='#{}' x='{}' y='{}' fill='{}'/>",
            name(bold, id.0),
            at.0,
            at.1,
            css(colour)
        );
    }

    /// The letters of a control picture, which the font lacks: small and falling, as terminals draw it.
    fn small(&mut self, letters: &str, at: (f32, f32), colour: Rgb, face: &ttf_parser::Face<'_>) {
        let count = letters.len() as f32;
        for (i, id) in letters
            .chars()
            .filter_map(|c| face.glyph_index(c))
            .enumerate()
        {
            let step = i as f32 / count;
            let start = (step * CELL.0 - 0.2, 8.0 + step * 10.0);
            let mut outline =
                Outline::new(LETTER_SIZE * 0.5 / f32::from(face.units_per_em()), start);
            if face.outline_glyph(id, &mut outline).is_none() {
                continue;
            }
            if let Some(path) = outline.path.finish() {
                let transform = Transform::from_scale(SCALE, SCALE).pre_translate(at.0, at.1);
                self.pixels
                    .fill_path(&path, &paint(colour), FillRule::Winding, transform, None);
            }
            let (x, y, fill) = (at.0, at.1, css(colour));
            let _ = write!(
                self.body,
                "<path transform='translate({x} {y})' d='{}' fill='{fill}'/>",
                outline.svg
            );
        }
    }

    fn finish(self) -> Picture {
        let mut svg = self.head;
        svg.push_str("<defs>");
        for ((bold, id), outline) in &self.glyphs {
            let _ = write!(svg, "<path id='{}' d='{outline}'/>", name(*bold, *id));
        }
        svg.push_str("</defs>");
        svg.push_str(&self.body);
        svg.push_str("</svg>\n");
        let png = self
            .pixels
            .encode_png()
            .expect("a picture in memory can be encoded");
        Picture {
            svg,
            png,
            missing: self.missing,
        }
    }
}

fn name(bold: bool, id: u16) -> String {
    format!("{}{id}", if bold { 'b' } else { 'r' })
}

fn css([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn solid([r, g, b]: Rgb) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(r, g, b, 255)
}

fn paint(colour: Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(solid(colour));
    paint
}

/// What a control picture spells.
fn control_picture(c: char) -> Option<&'static str> {
    const NAMES: [&str; 34] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR",
        "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB",
        "ESC", "FS", "GS", "RS", "US", "SP", "DEL",
    ];
    NAMES.get((c as usize).checked_sub(0x2400)?).copied()
}

/// The rectangles of a glyph that is geometry, in picture units within the cell.
fn geometry(c: char) -> Option<Vec<[f32; 4]>> {
    let (w, h) = CELL;
    let (mid_x, mid_y, half) = (w / 2.0, h / 2.0, 0.6);
    // Arms to north, south, west, east.
    let arms = |[north, south, west, east]: [bool; 4]| {
        let mut parts = Vec::new();
        let top = if north { 0.0 } else { mid_y - half };
        let bottom = if south { h } else { mid_y + half };
        if north || south {
            parts.push([mid_x - half, top, mid_x + half, bottom]);
        }
        let left = if west { 0.0 } else { mid_x - half };
        let right = if east { w } else { mid_x + half };
        if west || east {
            parts.push([left, mid_y - half, right, mid_y + half]);
        }
        parts
    };
    let eighths = |n: u32| n as f32 / 8.0;
    let code = c as u32;
    Some(match c {
        '─' => arms([false, false, true, true]),
        '│' => arms([true, true, false, false]),
        '┌' => arms([false, true, false, true]),
        '┐' => arms([false, true, true, false]),
        '└' => arms([true, false, false, true]),
        '┘' => arms([true, false, true, false]),
        '├' => arms([true, true, false, true]),
        '┤' => arms([true, true, true, false]),
        '┬' => arms([false, true, true, true]),
        '┴' => arms([true, false, true, true]),
        '┼' => arms([true; 4]),
        '┊' => (0..4)
            .map(|i| h * (i as f32 + 0.25) / 4.0)
            .map(|y| [mid_x - half, y, mid_x + half, y + 2.4])
            .collect(),
        '█' => vec![[0.0, 0.0, w, h]],
        '▁'..='▇' => vec![[0.0, h - h * eighths(code - 0x2580), w, h]],
        '▉'..='▏' => vec![[0.0, 0.0, w * eighths(0x2590 - code), h]],
        '░' | '▒' | '▓' => shade(code - 0x2590),
        _ => return None,
    })
}

/// Shades 1 to 3 as dots in a grid, which stay distinct in any colour.
fn shade(level: u32) -> Vec<[f32; 4]> {
    let (columns, rows) = (4, 8);
    let (w, h) = (CELL.0 / columns as f32, CELL.1 / rows as f32);
    let even = |n: u32| n.is_multiple_of(2);
    let filled = |x: u32, y: u32| match level {
        1 => even(x) && even(y),
        2 => even(x + y),
        _ => even(x) || even(y),
    };
    (0..rows)
        .flat_map(|y| (0..columns).map(move |x| (x, y)))
        .filter(|(x, y)| filled(*x, *y))
        .map(|(x, y)| (x as f32 * w, y as f32 * h))
        .map(|(x, y)| [x, y, x + w, y + h])
        .collect()
}

/// Takes an outline in font units to picture units, once as path data and once as a path.
struct Outline {
    scale: f32,
    start: (f32, f32),
    svg: String,
    path: PathBuilder,
}

impl Outline {
    fn new(scale: f32, start: (f32, f32)) -> Self {
        Self {
            scale,
            start,
            svg: String::new(),
            path: PathBuilder::new(),
        }
    }

    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.start.0 + x * self.scale, self.start.1 - y * self.scale)
    }
}

impl ttf_parser::OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        let _ = write!(self.svg, "M{x:.2} {y:.2}");
        self.path.move_to(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        let _ = write!(self.svg, "L{x:.2} {y:.2}");
        self.path.line_to(x, y);
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        let _ = write!(self.svg, "Q{x1:.2} {y1:.2} {x:.2} {y:.2}");
        self.path.quad_to(x1, y1, x, y);
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        let _ = write!(self.svg, "C{x1:.2} {y1:.2} {x2:.2} {y2:.2} {x:.2} {y:.2}");
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }
    fn close(&mut self) {
        self.svg.push('Z');
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Style;

    #[test]
    fn draws_what_is_there_and_names_what_it_cannot() {
        let mut buffer = Buffer::with_lines(["▸ █▌┊ ok", "日本"]);
        buffer.set_style(
            ratatui::layout::Rect::new(0, 0, 1, 1),
            Style::new().fg(Color::Red),
        );
        let picture = render(&buffer, &Paper::DARK);
        assert!(picture.svg.starts_with("<svg") && picture.svg.contains("fill='#e06c75'"));
        assert_eq!(picture.missing, BTreeSet::from(['日', '本']));
        let pixels = Pixmap::decode_png(&picture.png).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (8 * 18, 2 * 38));
        // The full block in column 2 has the foreground's colour to its very edge.
        let pixel = pixels.pixel(2 * 18 + 1, 1).unwrap();
        assert_eq!(
            [pixel.red(), pixel.green(), pixel.blue()],
            Paper::DARK.foreground
        );
    }
}
