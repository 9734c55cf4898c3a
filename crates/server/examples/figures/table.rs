//! Tables of figures, as they stand in the reference page.

use std::fmt::Write as _;

/// Rows of figures with their goals.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    rows: Vec<[String; 4]>,
}

impl Table {
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
    }

    /// A figure that has no goal.
    pub fn say(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.push(what.into(), figure.into(), String::new(), String::new());
    }

    /// A number that must not be above its goal.
    pub fn at_most(&mut self, what: &str, figure: impl Into<String>, (number, goal): (f64, f64), unit: &str) {
        let (shown, mark) = (number_of(number), mark(number <= goal));
        self.push(
            what.into(),
            figure.into(),
            format!("{shown}{unit}"),
            format!("≤ {}{unit}{mark}", number_of(goal)),
        );
    }

    /// A number that must not be below its goal.
    pub fn at_least(
        &mut self,
        what: &str,
        figure: impl Into<String>,
        (number, goal): (f64, f64),
        unit: &str,
    ) {
        let (shown, mark) = (number_of(number), mark(number >= goal));
        self.push(
            what.into(),
            figure.into(),
            format!("{shown}{unit}"),
            format!("≥ {}{unit}{mark}", number_of(goal)),
        );
    }

    fn push(&mut self, what: String, figure: String, measured: String, goal: String) {
        super::tell(&format!("  {what}: {figure} {measured} {goal}"));
        self.rows.push([what, figure, measured, goal]);
    }

    /// The table as Markdown, under its title, with the words that measure it again.
    pub fn markdown(&self, part: &str) -> String {
        let mut text = format!(
            "\n### {}\n\n`figures {part}`\n\n| What | Figures | Measured | Goal |\n|---|---|---|---|\n",
            self.title
        );
        for [what, figure, measured, goal] in &self.rows {
            let _ = writeln!(text, "| {what} | {figure} | {measured} | {goal} |");
        }
        text
    }
}

fn mark(is_met: bool) -> &'static str {
    if is_met { "" } else { " **missed**" }
}

/// A number with as many digits as mean something.
fn number_of(number: f64) -> String {
    if number.fract().abs() < f64::EPSILON || number.abs() >= 100.0 {
        format!("{number:.0}")
    } else if number.abs() >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which that part of all values lies.
pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
