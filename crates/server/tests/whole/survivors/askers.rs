//! The connections that ask all the time whether somebody may act.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

use super::kinds::Issued;
use crate::harness::{Org, Server};

const CONNECTIONS: usize = 64;

/// A token, and by whose key it is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    asker: String,
    secret: String,
    what: String,
}

impl Asked {
    pub fn new(one: &Issued, org: &Org, what: String) -> Self {
        Self { asker: org.asker.clone(), secret: one.secret.clone(), what }
    }
}

/// What is asked about now.
#[derive(Default)]
pub struct Watched {
    /// Must be refused by every check that begins after `ended_at`.
    pub leaving: Vec<Asked>,
    /// When the 2xx came.
    ended_at: Option<Instant>,
    /// Must be admitted always.
    pub staying: Vec<Asked>,
}

impl Watched {
    /// What is asked in that turn, and whether it is to leave: of those who stay each third.
    fn pick(&self, turn: usize) -> Option<(Asked, bool)> {
        if self.leaving.is_empty() || turn.is_multiple_of(3) {
            let at = turn % self.staying.len().max(1);
            return self.staying.get(at).map(|one| (one.clone(), false));
        }
        Some((self.leaving[turn % self.leaving.len()].clone(), true))
    }

    /// Whether a check that began then had to be refused.
    fn had_to_be_refused(&self, one: &Asked, began: Instant) -> bool {
        let still = self.leaving.iter().any(|leaving| leaving.secret == one.secret);
        still && self.ended_at.is_some_and(|ended_at| began > ended_at)
    }
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub checks: u64,
    pub survivors: u64,
    pub lost: u64,
}

#[derive(Default)]
struct Shared {
    watched: RwLock<Watched>,
    checks: AtomicU64,
    survivors: AtomicU64,
    lost: AtomicU64,
    stop: AtomicBool,
}

/// All of them.
pub struct Askers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Askers {
    pub fn start(server: &Arc<Server>) -> Self {
        let shared = Arc::<Shared>::default();
        let tasks = (0..CONNECTIONS).map(|_| tokio::spawn(ask_on(server.clone(), shared.clone()))).collect();
        Self { shared, tasks }
    }

    /// Asks about these from now on.
    pub fn watch(&self, watched: Watched) {
        *self.shared.watched.write().unwrap() = watched;
    }

    /// The answer came just now.
    pub fn is_over(&self) {
        let ended_at = Instant::now();
        self.shared.watched.write().unwrap().ended_at = Some(ended_at);
    }

    /// Asks about nobody until somebody else is there.
    pub fn rest(&self) {
        self.watch(Watched::default());
    }

    pub async fn stop(self) -> Counted {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Shared { checks, survivors, lost, .. } = &*self.shared;
        Counted { checks: count(checks), survivors: count(survivors), lost: count(lost) }
    }
}

async fn ask_on(server: Arc<Server>, shared: Arc<Shared>) {
    let mut turn = 0_usize;
    while !shared.stop.load(Ordering::Relaxed) {
        turn += 1;
        let picked = shared.watched.read().unwrap().pick(turn);
        let Some((one, is_leaving)) = picked else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let began = Instant::now();
        let code = server.code(&one.asker, &one.secret).await;
        shared.checks.fetch_add(1, Ordering::Relaxed);
        let is_admitted = code == "allowed";
        if is_leaving && is_admitted && shared.watched.read().unwrap().had_to_be_refused(&one, began) {
            shared.survivors.fetch_add(1, Ordering::Relaxed);
            eprintln!("survived: {}", one.what);
        } else if !is_leaving && !is_admitted {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            eprintln!("lost: {} is {code}", one.what);
        }
    }
}

/// What the bearers of these tokens are answered now, all connections at it. Asked by the root token, which may ask about any
/// organization's.
pub async fn codes(
    server: &Arc<Server>,
    tokens: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let tokens: Vec<(String, String)> = tokens.collect();
    let mut asking = JoinSet::new();
    for some in tokens.chunks(tokens.len().div_ceil(CONNECTIONS).max(1)) {
        let (server, some) = (server.clone(), some.to_vec());
        asking.spawn(async move {
            let mut said = Vec::new();
            for (what, secret) in some {
                said.push((what, server.code(&server.root_token, &secret).await));
            }
            said
        });
    }
    asking.join_all().await.into_iter().flatten().collect()
}
