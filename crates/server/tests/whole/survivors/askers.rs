//! The connections that ask all the time whether somebody may act, everywhere where that can be asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

use super::kinds::Issued;
use super::surfaces::{Gate, Surface};
use crate::harness::{Org, Server, until};

const CONNECTIONS: usize = 64;

/// A token, and where it is presented.
#[derive(Debug, Clone)]
pub struct Asked {
    surface: Surface,
    gate: Gate,
    secret: String,
    what: String,
}

impl Asked {
    /// One everywhere where its kind is good for something.
    pub fn everywhere(one: &Issued, org: &Org, what: &str) -> Vec<Self> {
        let at = |surface: &Surface| Self {
            surface: *surface,
            gate: Gate::of(org),
            secret: one.secret.clone(),
            what: what.to_owned(),
        };
        Surface::of(one.kind).iter().map(at).collect()
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
    /// What is asked in that turn, and whether it is to leave: of those who stay each third. Those who leave and those who stay
    /// are counted each for themselves, so that everybody's turn comes however many there are.
    fn pick(&self, turn: usize) -> Option<(Asked, bool)> {
        let third = turn / 3;
        let (of, at, is_leaving) = match (self.leaving.is_empty(), turn.is_multiple_of(3)) {
            (true, _) => (&self.staying, turn, false),
            (false, true) => (&self.staying, third, false),
            (false, false) => (&self.leaving, turn - third, true),
        };
        Some((of.get(at.checked_rem(of.len())?)?.clone(), is_leaving))
    }

    /// Whether a check that began then had to be refused.
    fn had_to_be_refused(&self, one: &Asked, began: Instant) -> bool {
        let still = self.leaving.iter().any(|leaving| leaving.secret == one.secret);
        still && self.ended_at.is_some_and(|ended_at| began > ended_at)
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Of whoever stayed, by where.
    pub of_staying: BTreeMap<Surface, u64>,
    /// Of whoever left, begun after the 2xx, by where.
    pub after: BTreeMap<Surface, u64>,
    /// Of whoever was to leave, begun before it: either answer is right.
    pub before: u64,
    pub survivors: u64,
    pub lost: u64,
}

impl Counted {
    /// How many began after the 2xx.
    pub fn all_after(&self) -> u64 {
        self.after.values().sum()
    }

    /// All of them.
    pub fn checks(&self) -> u64 {
        self.before + self.all_after() + self.of_staying.values().sum::<u64>()
    }
}

#[derive(Default)]
struct Shared {
    watched: RwLock<Watched>,
    turn: AtomicUsize,
    counted: Mutex<Counted>,
    /// How many of whoever leaves now were begun after the 2xx.
    after: AtomicUsize,
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
        let mut now = self.shared.watched.write().unwrap();
        self.shared.after.store(0, Ordering::Relaxed);
        *now = watched;
    }

    /// The answer came just now.
    pub fn is_over(&self) {
        let ended_at = Instant::now();
        self.shared.watched.write().unwrap().ended_at = Some(ended_at);
    }

    /// Asks about nobody until somebody else is there. Before that each token of whoever left has been presented after the
    /// answer wherever it was good, once at the least and as often as there are connections.
    pub async fn rest(&self) {
        let leaving = self.shared.watched.read().unwrap().leaving.len();
        let wanted = (leaving * 2).max(CONNECTIONS);
        let is_enough = async || self.shared.after.load(Ordering::Relaxed) >= wanted;
        until("every check after the answer", async || is_enough().await.then_some(())).await;
        self.watch(Watched::default());
    }

    pub async fn stop(self) -> Counted {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let counted = self.shared.counted.lock().unwrap();
        counted.clone()
    }
}

async fn ask_on(server: Arc<Server>, shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
        let picked = shared.watched.read().unwrap().pick(turn);
        let Some((one, is_leaving)) = picked else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let began = Instant::now();
        let (is_admitted, said) = one.surface.ask(&server, &one.gate, &one.secret).await;
        let watched = shared.watched.read().unwrap();
        let mut counted = shared.counted.lock().unwrap();
        if !is_leaving {
            *counted.of_staying.entry(one.surface).or_default() += 1;
            counted.lost += u64::from(!is_admitted);
        } else if watched.had_to_be_refused(&one, began) {
            *counted.after.entry(one.surface).or_default() += 1;
            shared.after.fetch_add(1, Ordering::Relaxed);
            counted.survivors += u64::from(is_admitted);
            if is_admitted {
                eprintln!("survived at {:?}: {}", one.surface, one.what);
            }
        } else {
            counted.before += 1;
        }
        if !is_leaving && !is_admitted {
            eprintln!("lost at {:?}: {} is {said}", one.surface, one.what);
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

#[test]
fn the_turn_of_everybody_who_leaves_or_stays_comes_however_many_there_are() {
    let some = |kind: &str, many: usize| -> Vec<Asked> {
        let gate = Gate::default();
        let one = |number| Asked {
            surface: Surface::Evaluation,
            gate: gate.clone(),
            secret: format!("{kind}-{number}"),
            what: String::new(),
        };
        (0..many).map(one).collect()
    };
    for (leaving, staying) in [(10, 12), (9, 12), (3, 3), (1, 25), (0, 7), (6, 0)] {
        let watched =
            Watched { leaving: some("leaving", leaving), ended_at: None, staying: some("staying", staying) };
        let turns = 3 * leaving.max(staying).max(1);
        let picked = (0..2 * turns).filter_map(|turn| watched.pick(turn)).map(|(one, _)| one.secret);
        let picked: std::collections::BTreeSet<String> = picked.collect();
        assert_eq!(picked.len(), leaving + staying, "{leaving} leave, {staying} stay: {picked:?}");
    }
}
