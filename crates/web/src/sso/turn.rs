//! Tabs of one browser that come in at the same moment do so one after another.
//!
//! A browser has one cookie for all of its sessions. Two tabs that come back together bring it as it was before either, and
//! the answer that arrives last would take the other one's session out of it. So the second is sent to the same address once
//! more, behind the answer to the first, and brings what that one set. Tabs are of one browser if they bring a value in
//! common that binds sign-ins. This is memory of one process and lets nobody in: whoever it does not know comes in as ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis_domain::Timestamp;
use portcullis_domain::secret::SecretHash;
use portcullis_service::session::Opened;
use tokio::sync::watch;

use crate::App;
use crate::pages::form::Guest;

/// Seconds for which a browser may bring its cookie as it was before an answer: the answer is on its way no longer.
const STALE_S: i64 = 10;
/// The longest that one tab waits for another: a provider is asked meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Values of browsers that are remembered. Beyond them nobody is sent once more.
const MAX_VALUES: usize = 20_000;
/// Seconds between two looks for turns that are over.
const SWEPT_EVERY_S: i64 = 1;

/// How far a tab's turn is. One that was dropped under way is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It is being let in.
    Underway,
    /// It has that session since then, and the answer that says so may not have arrived.
    In(SecretHash, Timestamp),
}

type Seen = watch::Receiver<Stage>;

/// The turns of tabs, by each value that their browser brought.
#[derive(Debug, Default)]
pub struct Turns {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    of: HashMap<String, Seen>,
    swept_at: Option<Timestamp>,
}

/// What a tab that comes in does.
pub(super) enum Entered {
    /// It comes in, and says if it has.
    Go(Turn),
    /// It is sent to the same address again.
    Again,
}

/// The turn of a tab.
pub(super) struct Turn {
    stage: watch::Sender<Stage>,
}

impl Turn {
    /// The tab has that session.
    pub(super) fn came_in(self, opened: &Opened, now: Timestamp) {
        self.stage.send_replace(Stage::In(opened.secret.hash(), now));
    }
}

/// Lets a tab come in, unless the answer to another one of its browser has to arrive before.
pub(super) async fn enter(app: &App, guest: &Guest) -> Entered {
    let (turns, now) = (app.turns(), app.portcullis().now());
    let values: Vec<&str> = guest.returning.values().chain(guest.crossing.values()).collect();
    let Some(mut before) = turns.before(&values, &guest.visitor.presented, now) else {
        return Entered::Go(turns.begin(&values));
    };
    let is_done = before.wait_for(|stage| *stage != Stage::Underway);
    // What it came to is seen when the tab is here again.
    let _ = tokio::time::timeout(MAX_WAIT, is_done).await;
    Entered::Again
}

impl Turns {
    /// The turn that comes before: under way, or of a session that the browser does not bring yet. Of the latter nobody is
    /// told twice: a browser may have thrown it away.
    fn before(&self, values: &[&str], presented: &[String], now: Timestamp) -> Option<Seen> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sweep(now);
        let is_before = |turn: &&Seen| match &*turn.borrow() {
            Stage::In(session, _) => presented.iter().all(|secret| SecretHash::of(secret) != *session),
            Stage::Underway => true,
        };
        let turns = values.iter().filter_map(|value| known.of.get(*value));
        let found = turns.filter(|turn| is_on(turn, now)).find(is_before)?.clone();
        let is_underway = *found.borrow() == Stage::Underway;
        if !is_underway {
            known.of.retain(|_, turn| !turn.same_channel(&found));
        }
        Some(found)
    }

    fn begin(&self, values: &[&str]) -> Turn {
        let (stage, turn) = watch::channel(Stage::Underway);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of.len() + values.len() <= MAX_VALUES {
            known.of.extend(values.iter().map(|value| ((*value).to_owned(), turn.clone())));
        }
        Turn { stage }
    }
}

impl Known {
    fn sweep(&mut self, now: Timestamp) {
        if self.swept_at.is_none_or(|at| at.plus_s(SWEPT_EVERY_S) <= now || at > now) {
            self.of.retain(|_, turn| is_on(turn, now));
            self.swept_at = Some(now);
        }
    }
}

/// Whether a turn counts still.
fn is_on(turn: &Seen, now: Timestamp) -> bool {
    match &*turn.borrow() {
        Stage::Underway => turn.has_changed().is_ok(),
        Stage::In(_, since) => now < since.plus_s(STALE_S),
    }
}
