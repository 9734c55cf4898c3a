//! What the demo says: each step when it is over, to people or to a machine, and at the end whether all of it held.
//!
//! Here so that no step can print past the account, and so that an expectation that does not hold is never lost.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::clock::Stopwatch;
use crate::table::{INDENT, Ink, MAX_COLUMNS, Table, Tone, duration, wrap};

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Terminal(Ink),
    /// One JSON object a line.
    Json,
}

/// Something below a step's title.
enum Part {
    Note(Tone, String),
    Line(Vec<(Tone, String)>),
    Table(Table),
}

/// A step under way.
struct Step {
    title: String,
    watch: Stopwatch,
    elapsed: Option<Duration>,
    parts: Vec<Part>,
    facts: Map<String, Value>,
    unmet: Vec<String>,
}

/// Who tells.
pub(super) struct Teller {
    form: Form,
    watch: Stopwatch,
    current: Option<Step>,
    steps: usize,
    expectations: usize,
    unmet: Vec<String>,
}

impl Teller {
    /// Begins to tell.
    ///
    /// # Errors
    /// If the output is closed; here and below.
    pub(super) fn open(form: Form) -> Result<Self> {
        let watch = Stopwatch::start();
        let teller = Self { form, watch, current: None, steps: 0, expectations: 0, unmet: Vec::new() };
        if let Form::Terminal(ink) = form {
            let title = "Somebody leaves, and nothing of theirs is admitted after the answer";
            let lines = [String::new(), format!(" {}", ink.paint(Tone::Strong, title)), String::new()];
            say(&lines)?;
        }
        Ok(teller)
    }

    /// Begins a step.
    pub(super) fn begin(&mut self, title: impl Into<String>) {
        self.steps += 1;
        self.current = Some(Step {
            title: title.into(),
            watch: Stopwatch::start(),
            elapsed: None,
            parts: Vec::new(),
            facts: Map::new(),
            unmet: Vec::new(),
        });
    }

    /// The step took this long, whatever was done around it.
    pub(super) fn took(&mut self, elapsed: Duration) {
        if let Some(step) = &mut self.current {
            step.elapsed = Some(elapsed);
        }
    }

    /// A sentence for people.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.part(Part::Note(Tone::Plain, text.into()));
    }

    /// A sentence beside the point, for people.
    pub(super) fn aside(&mut self, text: impl Into<String>) {
        self.part(Part::Note(Tone::Quiet, text.into()));
    }

    /// A line whose pieces stand as they are.
    pub(super) fn line(&mut self, pieces: impl Into<Vec<(Tone, String)>>) {
        self.part(Part::Line(pieces.into()));
    }

    /// Rows for people.
    pub(super) fn table(&mut self, table: Table) {
        self.part(Part::Table(table));
    }

    /// A member of the step's object, for machines.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(step) = &mut self.current {
            step.facts.insert(name.to_owned(), value.into());
        }
    }

    /// What must be so. If it is not, the demo fails and says this.
    pub(super) fn expect(&mut self, held: bool, what: impl Into<String>) {
        self.expectations += 1;
        if let (false, Some(step)) = (held, &mut self.current) {
            step.unmet.push(what.into());
        }
    }

    /// Ends the step and shows it.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some(step) = self.current.take() else { return Ok(()) };
        let elapsed = step.elapsed.unwrap_or_else(|| step.watch.elapsed());
        match self.form {
            Form::Terminal(ink) => say(&self.lines(ink, &step, elapsed))?,
            Form::Json => {
                let mut object = Map::new();
                object.insert("step".to_owned(), json!(self.steps));
                object.insert("title".to_owned(), json!(step.title));
                object.insert("ok".to_owned(), json!(step.unmet.is_empty()));
                object.insert("elapsed_us".to_owned(), micros(elapsed));
                object.insert("unmet".to_owned(), json!(step.unmet));
                object.extend(step.facts);
                say(&[Value::Object(object).to_string()])?;
            }
        }
        let number = self.steps;
        self.unmet.extend(step.unmet.into_iter().map(|what| format!("step {number}: {what}")));
        Ok(())
    }

    /// Ends the step, and the telling, with an error.
    pub(super) fn fail(&mut self, error: &anyhow::Error) -> Result<()> {
        if self.current.is_none() {
            self.begin("The demo goes on");
        }
        self.expect(false, format!("{error:#}"));
        self.finish()
    }

    /// Says whether everything held.
    pub(super) fn close(&mut self) -> Result<bool> {
        let (ok, elapsed) = (self.unmet.is_empty(), self.watch.elapsed());
        match self.form {
            Form::Json => {
                let summary = json!({
                    "summary": true, "ok": ok, "steps": self.steps, "expectations": self.expectations,
                    "unmet": self.unmet, "elapsed_us": micros(elapsed),
                });
                say(&[summary.to_string()])?;
            }
            Form::Terminal(ink) => {
                let (steps, expectations) = (self.steps, self.expectations);
                let (tone, text) = if ok {
                    (Tone::Good, format!("✓ all {expectations} expectations of {steps} steps held"))
                } else {
                    let unmet = self.unmet.len();
                    (Tone::Bad, format!("✗ {unmet} of {expectations} expectations did not hold"))
                };
                let mut lines = vec![titled(ink, &format!(" {text}"), tone, elapsed)];
                for what in &self.unmet {
                    lines.extend(wrap(what).iter().map(|line| indented(&ink.paint(Tone::Bad, line))));
                }
                lines.push(String::new());
                say(&lines)?;
            }
        }
        Ok(ok)
    }

    fn part(&mut self, part: Part) {
        if let Some(step) = &mut self.current {
            step.parts.push(part);
        }
    }

    fn lines(&self, ink: Ink, step: &Step, elapsed: Duration) -> Vec<String> {
        let (mark, tone) = if step.unmet.is_empty() { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        let head = format!("{} {:>2} ", ink.paint(tone, mark), self.steps);
        let mut lines = vec![format!(" {head}{}", titled_within(ink, &step.title, elapsed))];
        for part in &step.parts {
            match part {
                Part::Note(tone, text) => {
                    lines.extend(wrap(text).iter().map(|line| indented(&ink.paint(*tone, line))));
                }
                Part::Line(pieces) => {
                    let painted: Vec<String> =
                        pieces.iter().map(|(tone, text)| ink.paint(*tone, text)).collect();
                    lines.push(indented(&painted.concat()));
                }
                Part::Table(table) => lines.extend(table.render(ink).iter().map(|line| indented(line))),
            }
        }
        for what in &step.unmet {
            let text = format!("✗ {what}");
            lines.extend(wrap(&text).iter().map(|line| indented(&ink.paint(Tone::Bad, line))));
        }
        lines.push(String::new());
        lines
    }
}

/// The title of a step, with its duration at the right edge; the mark and the number come before it.
fn titled_within(ink: Ink, title: &str, elapsed: Duration) -> String {
    let took = duration(elapsed);
    let used = 1 + INDENT + title.chars().count() + took.chars().count();
    let pad = " ".repeat(MAX_COLUMNS.saturating_sub(used));
    format!("{}{pad}{}", ink.paint(Tone::Strong, title), ink.paint(Tone::Quiet, &took))
}

fn titled(ink: Ink, text: &str, tone: Tone, elapsed: Duration) -> String {
    let took = duration(elapsed);
    let pad = MAX_COLUMNS.saturating_sub(text.chars().count() + took.chars().count());
    format!("{}{}{}", ink.paint(tone, text), " ".repeat(pad), ink.paint(Tone::Quiet, &took))
}

fn indented(line: &str) -> String {
    format!("{}{line}", " ".repeat(INDENT + 1))
}

fn micros(elapsed: Duration) -> Value {
    json!(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

fn say(lines: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}
