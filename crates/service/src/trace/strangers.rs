//! Refusals that anybody can bring about who knows an address of ours: so many of one kind are noted a minute, and the rest is
//! one line.
//!
//! Here because nothing vouches for such a call. Noted one by one, a stranger's would push out what an administrator looks
//! for, of every organization, since all of them wait at one desk.

use std::collections::HashMap;

use portcullis_domain::Timestamp;
use serde_json::json;

use super::TraceDraft;

/// How many of one source and outcome are noted in a window: as many as an administrator reads.
const MAX_NOTED: u32 = 30;
/// Seconds of a window.
const WINDOW_S: i64 = 60;
/// Sources and outcomes that are counted at once; beyond it nothing is noted, and all of it counts as dropped.
const MAX_COUNTED: usize = 4_096;

/// What becomes of such a refusal.
pub(super) enum Noted {
    /// A trace of its own, behind the line of the window before, if there is one.
    Each(Vec<TraceDraft>),
    /// It is counted.
    Counted,
    /// There is no room to count it.
    Dropped,
}

#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    noted: u32,
    more: u32,
    /// The last that was counted, for the line.
    last: Option<TraceDraft>,
}

impl Window {
    const fn at(began_at: Timestamp) -> Self {
        Self { began_at, noted: 0, more: 0, last: None }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.began_at.plus_s(WINDOW_S)
    }

    /// The line that says how many more there were.
    fn line(self) -> Option<TraceDraft> {
        let Self { began_at, more, last, .. } = self;
        let last = last?;
        let content = json!({
            "more": more,
            "message": format!("{more} more like this were refused within a minute; they have no traces of their own"),
            "connection": last.content.get("connection"),
            "refused_by": last.content.get("refused_by"),
            "advice": last.content.get("advice"),
        });
        Some(TraceDraft { request: None, content, at: began_at.plus_s(WINDOW_S), ..last })
    }
}

/// What is counted now, by source and outcome.
#[derive(Debug, Default)]
pub(super) struct Strangers(HashMap<(Option<String>, String), Window>);

impl Strangers {
    pub(super) fn note(&mut self, draft: TraceDraft) -> Noted {
        let key = (draft.source.clone(), draft.outcome.clone());
        if self.0.len() >= MAX_COUNTED && !self.0.contains_key(&key) {
            return Noted::Dropped;
        }
        let window = self.0.entry(key).or_insert_with(|| Window::at(draft.at));
        let over = window.is_over(draft.at).then(|| std::mem::replace(window, Window::at(draft.at)));
        if window.noted < MAX_NOTED {
            window.noted += 1;
            return Noted::Each(over.and_then(Window::line).into_iter().chain([draft]).collect());
        }
        window.more = window.more.saturating_add(1);
        window.last = Some(draft);
        Noted::Counted
    }

    /// The lines of all windows that are over, which are forgotten.
    pub(super) fn over(&mut self, now: Timestamp) -> Vec<TraceDraft> {
        let over: Vec<_> = self.0.extract_if(|_, window| window.is_over(now)).collect();
        over.into_iter().filter_map(|(_, window)| window.line()).collect()
    }
}
