//! Text for a terminal: coloured pieces, and tables of box-drawing characters.
//!
//! Here apart from what is told, so that the demo and `emulate` decide width and colour in one place.

use std::io::IsTerminal;
use std::time::Duration;

/// The most columns that anything is printed in.
pub const MAX_COLUMNS: usize = 100;
/// Where everything below a step's title begins.
pub const INDENT: usize = 5;

/// Whether colours are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Yes.
    Colour,
    /// No.
    None,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Admitted, or as it must be.
    Good,
    /// Refused, or not as it must be.
    Bad,
    /// Beside the point.
    Quiet,
    /// A title.
    Strong,
    /// An id or an address.
    Name,
}

impl Ink {
    /// Colour on a terminal, unless `NO_COLOR` says no; elsewhere only if `CLICOLOR_FORCE` asks for it.
    pub fn on(out: &impl IsTerminal) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let wanted = out.is_terminal() || set("CLICOLOR_FORCE");
        if wanted && !set("NO_COLOR") { Self::Colour } else { Self::None }
    }

    /// The text in that tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Quiet => 90,
            Tone::Strong => 1,
            Tone::Name => 36,
        };
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::None => text.to_owned(),
        }
    }
}

/// A piece of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
    side: Side,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Cell {
    /// A cell whose text begins at the left.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, side: Side::Left }
    }

    /// A duration, which ends at the right.
    pub fn took(elapsed: Duration) -> Self {
        Self { text: duration(elapsed), tone: Tone::Plain, side: Side::Right }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn render(&self, ink: Ink, width: usize) -> String {
        let pad = " ".repeat(width.saturating_sub(self.width()));
        let text = ink.paint(self.tone, &self.text);
        match self.side {
            Side::Left => format!("{text}{pad}"),
            Side::Right => format!("{pad}{text}"),
        }
    }
}

/// Rows under a head.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| Cell::new(Tone::Quiet, *name)).collect()] }
    }

    /// One row more.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The lines, without indent.
    pub fn render(&self, ink: Ink) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(Cell::width).max();
        let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
        let rule = |left: &str, middle: &str, right: &str| {
            let pieces: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            ink.paint(Tone::Quiet, &format!("{left}{}{right}", pieces.join(middle)))
        };
        let bar = ink.paint(Tone::Quiet, "│");
        let mut lines = vec![rule("┌", "┬", "┐")];
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!(" {} ", cell.render(ink, *width)))
                .collect();
            lines.push(format!("{bar}{}{bar}", cells.join(&bar)));
            if at == 0 {
                lines.push(rule("├", "┼", "┤"));
            }
        }
        lines.push(rule("└", "┴", "┘"));
        lines
    }
}

/// A duration as people read it: `412 µs`, `8.1 ms`, `1.24 s`.
pub fn duration(elapsed: Duration) -> String {
    let micros = elapsed.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", elapsed.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", elapsed.as_secs_f64()),
    }
}

/// Breaks a text between words, so that each line fits below a title.
pub fn wrap(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let fits = line.chars().count() + 1 + word.chars().count() < MAX_COLUMNS - INDENT;
            if !line.is_empty() && !fits {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}
