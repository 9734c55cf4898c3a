//! What `emulate` says: each step when it is over, to people or to a machine, and at the end what it comes to.
//!
//! Here so that every finding is told in one form: what was sent, expected, received, and what it means.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use portcullis_emulator::{Check, Dialect, Exchange, Halt, LeftBehind, Step, Verdict, Weight};
use serde_json::{Value, json};
use url::Url;

use crate::clock::Stopwatch;
use crate::table::{INDENT, Ink, MAX_COLUMNS, Tone, duration, wrap};

/// Columns of the words before a detail: `expected`, `received`.
const LABEL_COLUMNS: usize = 10;
/// Characters of a body that a terminal shows; `--json` has all of it.
const MAX_SHOWN_BODY: usize = 600;

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Terminal(Ink, Exchanges),
    /// One JSON object a line.
    Json,
}

/// Which exchanges people are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchanges {
    /// All.
    All,
    /// Those of failed steps.
    Failed,
}

/// How the run ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By itself.
    Came(Verdict),
    /// By a signal.
    Interrupted,
}

/// What became of what was made.
#[derive(Debug)]
pub(super) enum Removal {
    /// Removed, but for what is left.
    Done { removed: usize, left: Vec<LeftBehind> },
    /// Left there, as asked.
    Kept(Vec<LeftBehind>),
}

/// Who tells.
pub(super) struct Teller {
    form: Form,
    dialect: Dialect,
    base: String,
    mark: String,
    phase: &'static str,
    watch: Stopwatch,
    /// The first failure to write; the run goes on, because what was made must be removed.
    broken: Option<std::io::Error>,
}

/// Says what is special about each provider.
///
/// # Errors
/// If the output is closed.
pub(super) fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    let width = Dialect::ALL.iter().map(|dialect| dialect.name().len()).max().unwrap_or(0);
    for dialect in Dialect::ALL {
        writeln!(out, "{:<width$}  {}", dialect.name(), dialect.title())?;
        for line in wrap_within(dialect.special(), MAX_COLUMNS - width - 2) {
            writeln!(out, "{:<width$}  {line}", "")?;
        }
    }
    Ok(out.flush()?)
}

impl Teller {
    pub(super) fn open(form: Form, dialect: Dialect, base: &Url, mark: &str) -> Self {
        let mut teller = Self {
            form,
            dialect,
            base: base.to_string(),
            mark: mark.to_owned(),
            phase: "",
            watch: Stopwatch::start(),
            broken: None,
        };
        if let Form::Terminal(ink, _) = form {
            let title = format!("{} against a SCIM server", dialect.title());
            let marked = format!("everything it makes has `{mark}` in its name");
            teller.say(&[
                String::new(),
                format!(" {}", ink.paint(Tone::Strong, &title)),
                format!(" {}", teller.base),
                format!(" {}", ink.paint(Tone::Quiet, &marked)),
            ]);
        }
        teller
    }

    /// A step is over.
    pub(super) fn step(&mut self, step: &Step) {
        let lines = match self.form {
            Form::Json => vec![object(step).to_string()],
            Form::Terminal(ink, exchanges) => {
                let mut lines = Vec::new();
                if self.phase != step.phase {
                    self.phase = step.phase;
                    lines.extend([String::new(), format!(" {}", ink.paint(Tone::Strong, step.phase))]);
                }
                lines.push(headline(ink, step));
                let advised = step.findings(Weight::Should).next().is_some();
                if exchanges == Exchanges::All || advised || !step.is_passed() {
                    lines.extend(details(ink, step, exchanges));
                }
                lines
            }
        };
        self.say(&lines);
    }

    /// Says what it comes to; the exit status.
    ///
    /// # Errors
    /// If anything could not be written.
    pub(super) fn close(mut self, ending: &Ending, removal: &Removal) -> Result<u8> {
        let code = match ending {
            Ending::Interrupted => 2,
            Ending::Came(verdict) => match verdict.halt {
                Some(Halt::Unreachable(_)) => 2,
                _ => u8::from(!verdict.is_passed()),
            },
        };
        let lines = match self.form {
            Form::Json => vec![self.summary(code, ending, removal).to_string()],
            Form::Terminal(ink, _) => self.end(ink, code, ending, removal),
        };
        self.say(&lines);
        match self.broken {
            None => Ok(code),
            Some(error) => Err(error.into()),
        }
    }

    fn summary(&self, code: u8, ending: &Ending, removal: &Removal) -> Value {
        let interrupted = Verdict::default();
        let (verdict, halt) = match ending {
            Ending::Interrupted => (&interrupted, json!({"kind": "interrupted", "why": "a signal"})),
            Ending::Came(verdict) => (
                verdict,
                match &verdict.halt {
                    None => Value::Null,
                    Some(Halt::Unreachable(why)) => json!({"kind": "unreachable", "why": why}),
                    Some(Halt::CannotGoOn(why)) => json!({"kind": "cannot_go_on", "why": why}),
                },
            ),
        };
        let (removed, left) = match removal {
            Removal::Done { removed, left } => (*removed, left),
            Removal::Kept(left) => (0, left),
        };
        let one = |left: &LeftBehind| json!({"kind": left.kind.word(), "name": left.name, "id": left.id, "why": left.why});
        json!({
            "summary": true, "ok": code == 0, "provider": self.dialect.name(), "base_url": self.base,
            "mark": self.mark, "steps": verdict.steps, "requests": verdict.requests, "checks": verdict.checks,
            "failed": verdict.failed, "advice": verdict.advice, "halt": halt, "removed": removed,
            "left": left.iter().map(one).collect::<Vec<Value>>(), "elapsed_us": micros(self.watch.elapsed()),
        })
    }

    fn end(&self, ink: Ink, code: u8, ending: &Ending, removal: &Removal) -> Vec<String> {
        let name = self.dialect.title();
        let mut lines = vec![String::new()];
        let mut add = |tone: Tone, text: &str| {
            lines.extend(wrap(text).iter().map(|line| format!(" {}", ink.paint(tone, line))));
        };
        match ending {
            Ending::Interrupted => add(Tone::Bad, "✗ interrupted: nothing can be said about the rest"),
            Ending::Came(verdict) => {
                let (checks, steps, requests) = (verdict.checks, verdict.steps, verdict.requests);
                let took = duration(self.watch.elapsed());
                match &verdict.halt {
                    Some(Halt::Unreachable(why)) => add(Tone::Bad, &format!("✗ could not run: {why}")),
                    Some(Halt::CannotGoOn(why)) => add(Tone::Bad, &format!("✗ ended at step {steps}: {why}")),
                    None => {}
                }
                if code != 2 {
                    let counted = format!("{checks} checks in {steps} steps, {requests} requests, {took}");
                    if verdict.is_passed() {
                        add(Tone::Good, &format!("✓ {name} gets all it needs: {counted}"));
                    } else {
                        let failed = verdict.failed.len();
                        add(Tone::Bad, &format!("✗ {failed} of what {name} needs is missing: {counted}"));
                    }
                }
                for failed in verdict.failed.iter().filter(|_| code != 2) {
                    add(Tone::Bad, &format!("  ✗ {failed}"));
                }
                for advice in &verdict.advice {
                    add(Tone::Plain, &format!("  ! {advice}"));
                }
            }
        }
        match removal {
            Removal::Kept(left) => {
                add(Tone::Quiet, &format!("{} things are left at the server, as asked:", left.len()));
                left.iter().for_each(|left| add(Tone::Quiet, &line_of(left)));
            }
            Removal::Done { removed, left } => {
                if *removed > 0 {
                    add(Tone::Quiet, &format!("{removed} of what it made were still there and are removed"));
                }
                if !left.is_empty() {
                    add(Tone::Bad, &format!("{} could not be removed; remove by hand:", left.len()));
                }
                left.iter().for_each(|left| add(Tone::Bad, &line_of(left)));
            }
        }
        lines.push(String::new());
        lines
    }

    fn say(&mut self, lines: &[String]) {
        if self.broken.is_none() {
            let mut out = std::io::stdout().lock();
            let written =
                lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
            self.broken = written.err();
        }
    }
}

fn line_of(left: &LeftBehind) -> String {
    let id = left.id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    format!("  {} {}{id}: {}", left.kind.word(), left.name, left.why)
}

/// Mark, number, title, what was asked and answered, and how long it took.
fn headline(ink: Ink, step: &Step) -> String {
    let advised = step.findings(Weight::Should).next().is_some();
    let (mark, tone) = match (step.is_passed(), advised) {
        (false, _) => ("✗", Tone::Bad),
        (true, true) => ("!", Tone::Name),
        (true, false) => ("✓", Tone::Good),
    };
    let asked = step.exchanges.first().map_or_else(String::new, |first| {
        let more = if step.requests > 1 { format!(" +{}", step.requests - 1) } else { String::new() };
        format!("{} {}{more}", first.method, status_of(first))
    });
    let took = duration(step.elapsed);
    let right = format!("{asked:<14} {took:>8}");
    let room = MAX_COLUMNS.saturating_sub(1 + INDENT + right.chars().count() + 1);
    let title: String = step.title.chars().take(room).collect();
    let pad = " ".repeat(room.saturating_sub(title.chars().count()));
    format!(" {} {:>2} {title}{pad} {}", ink.paint(tone, mark), step.number, ink.paint(Tone::Quiet, &right))
}

fn status_of(exchange: &Exchange) -> String {
    exchange.received.as_ref().map_or_else(|_| "—".to_owned(), |answer| answer.status.to_string())
}

fn details(ink: Ink, step: &Step, exchanges: Exchanges) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |tone: Tone, label: &str, text: &str| {
        let width = MAX_COLUMNS - INDENT - LABEL_COLUMNS - 1;
        for (at, line) in wrap_within(text, width).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let label = ink.paint(Tone::Quiet, &format!("{label:<LABEL_COLUMNS$}"));
            lines.push(format!("{}{label}{}", " ".repeat(INDENT + 1), ink.paint(tone, &line)));
        }
    };
    let failed = !step.is_passed();
    let shown = failed || exchanges == Exchanges::All;
    for exchange in step.exchanges.iter().filter(|_| shown) {
        let body = exchange.body.as_ref().map(|body| format!(" {}", cut(&body.to_string())));
        add(
            Tone::Plain,
            "sent",
            &format!("{} {}{}", exchange.method, exchange.target, body.unwrap_or_default()),
        );
        add(Tone::Plain, "received", &received(exchange));
    }
    let hidden = step.requests - step.exchanges.len();
    if hidden > 0 && shown {
        add(Tone::Quiet, "", &format!("and {hidden} requests more"));
    }
    for check in &step.checks {
        let Some(found) = &check.found else { continue };
        let (tone, label) = match check.weight {
            Weight::Must => (Tone::Bad, "expected"),
            Weight::Should => (Tone::Plain, "better"),
        };
        add(tone, label, &check.expected);
        add(tone, "found", found);
    }
    if failed {
        add(Tone::Strong, "means", step.means);
    }
    lines
}

fn received(exchange: &Exchange) -> String {
    match &exchange.received {
        Err(why) => format!("nothing: {why}"),
        Ok(answer) => {
            let request = answer.request_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
            let body = answer.body.as_ref().map(Value::to_string).or_else(|| answer.text.clone());
            format!("{}{request} {}", answer.status, body.as_deref().map_or_else(String::new, cut))
        }
    }
}

/// A text that a terminal can hold. JSON escapes most control characters; what is left of them is replaced.
fn cut(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(MAX_SHOWN_BODY).map(printable).collect();
    if text.chars().nth(MAX_SHOWN_BODY).is_some() {
        short.push('…');
    }
    short
}

/// Lines of at most that width; a word that is longer is broken, as bodies are.
fn wrap_within(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if !line.is_empty() && line.chars().count() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        while line.chars().count() + word.len() > width {
            let rest = word.split_off((width - line.chars().count()).min(word.len()));
            line.extend(word);
            lines.push(std::mem::take(&mut line));
            word = rest;
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

fn object(step: &Step) -> Value {
    let check = |check: &Check| {
        let needed = check.weight == Weight::Must;
        json!({"expected": check.expected, "needed": needed, "held": check.found.is_none(), "found": check.found})
    };
    json!({
        "step": step.number, "phase": step.phase, "title": step.title, "ok": step.is_passed(),
        "means": step.means, "requests": step.requests, "elapsed_us": micros(step.elapsed),
        "checks": step.checks.iter().map(check).collect::<Vec<Value>>(),
        "exchanges": step.exchanges.iter().map(exchange_object).collect::<Vec<Value>>(),
    })
}

fn exchange_object(exchange: &Exchange) -> Value {
    let sent = json!({"method": exchange.method, "target": exchange.target, "body": exchange.body});
    let received = match &exchange.received {
        Err(why) => json!({"error": why}),
        Ok(answer) => json!({
            "status": answer.status, "request_id": answer.request_id, "etag": answer.etag,
            "location": answer.location, "content_type": answer.content_type, "body": answer.body,
            "text": answer.text, "elapsed_us": micros(answer.elapsed),
        }),
    };
    json!({"sent": sent, "received": received})
}

fn micros(elapsed: Duration) -> Value {
    json!(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}
