//! Mutants of what carries decisions about access out, all of them in one build: `cargo xtask mutants`.
//!
//! cargo-mutants builds the workspace again for each change, which takes a day for `service` and `store`. Here every
//! change is in the code at once, behind a question that a process answers by its environment. Which changes there are,
//! how they are called and which may survive for what reason is cargo-mutants' word
//! ([0048](../../docs/decisions/0048-every-mutant-is-in-one-build.md)).

mod build;
mod journal;
mod judge;
mod list;
mod plain;
mod reach;
mod rewrite;
mod sites;
#[cfg(test)]
mod switch;
mod tree;
mod trial;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::build::Program;
use self::journal::Journal;
use self::judge::{Bench, Beside, Judged, Outcome};
use self::list::Mutant;
use self::plain::Plain;
use self::reach::{Test, Went};
use self::tree::{LeftOut, Tree};
use self::trial::{Database, Ground};
use crate::postgres::{self, Cluster, Durability};
use crate::setup;
use crate::workspace::Workspace;

/// Which mutants there are where nobody says it.
const CONFIG: &str = ".cargo/mutants-access.toml";
/// So many mutants later it is told how far it is.
const TELL_AFTER: usize = 20;

/// Which mutants are judged, and how many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    config: PathBuf,
    /// Only those in files like this, where `*` stands for anything.
    only: Option<String>,
    /// Only those whose number leaves the first when it is divided by the second.
    shard: (u32, u32),
    jobs: usize,
    lists: bool,
}

impl Wish {
    /// Reads `[--config FILE] [--only FILES] [--shard K/N] [--jobs N] [--list]`.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut wish = Self { config: PathBuf::from(CONFIG), only: None, shard: (0, 1), jobs, lists: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--list" => wish.lists = true,
                "--config" => wish.config = PathBuf::from(value()?),
                "--only" => wish.only = Some(value()?.clone()),
                "--jobs" => wish.jobs = value()?.parse().context("`--jobs` needs a number")?,
                "--shard" => wish.shard = shard(value()?).context("`--shard` needs K/N with K below N")?,
                other => bail!("`mutants` does not know `{other}`"),
            }
        }
        Ok(wish)
    }

    fn wants(&self, number: u32, mutant: &Mutant) -> bool {
        let (this, of) = self.shard;
        number % of == this && self.only.as_deref().is_none_or(|glob| is_like(&mutant.file, glob))
    }
}

fn shard(text: &str) -> Option<(u32, u32)> {
    let (this, of) = text.split_once('/')?;
    let (this, of) = (this.parse().ok()?, of.parse().ok()?);
    (this < of).then_some((this, of))
}

fn is_like(path: &str, glob: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return path == glob };
    let Some(path) = path.strip_prefix(first) else { return false };
    (0..=path.len()).filter_map(|at| path.get(at..)).any(|end| is_like(end, rest))
}

/// Judges what is wished, and fails where a mutant survived or is not judged to its end.
pub(crate) fn run(workspace: &Workspace, wish: &Wish) -> Result<ExitCode> {
    setup::mutants(workspace)?;
    let config = workspace.root.join(&wish.config);
    let mutants = list::mutants(workspace, &config)?;
    if wish.lists {
        let wanted = (0u32..).zip(&mutants).filter(|(number, mutant)| wish.wants(*number, mutant));
        wanted.for_each(|(number, mutant)| println!("{number} {}", mutant.name));
        return Ok(ExitCode::SUCCESS);
    }
    let stem = wish.config.file_stem().context("a configuration is a file")?;
    let folder = workspace.target.join("mutants").join(stem);
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).context("could not make a folder for temporary files")?;
    let mut tree = Tree::read(workspace, folder.join("tree"))?;
    let sources = tree.key(&mutants, |path| path.contains("/src/"));
    let mut taken_out: Journal<LeftOut> = Journal::open(&folder.join("left_out.jsonl"), &sources)?;
    let mut left_out = taken_out.entries.last().cloned().unwrap_or_default();
    let built = build::build(workspace, &mut tree, &mutants, &list::judges(&config)?, &mut left_out);
    taken_out.add(left_out.clone())?;
    let programs = built?;
    let key = tree.key(&mutants, |_| true);
    let cluster = match std::env::var_os(postgres::URL) {
        Some(_) => None,
        None => Some(Cluster::start(workspace, Durability::Unsynced)?),
    };
    let environment = cluster.as_ref().map_or_else(postgres::named, |cluster| cluster.environment().to_vec());
    let mut run = Run {
        wish,
        mutants: &mutants,
        left_out: &left_out,
        programs: &programs,
        ground: Ground { folder: &temporary, environment: &environment },
        tests: Journal::open(&folder.join("reach.jsonl"), &key)?,
        judged: Journal::open(&folder.join("outcome.jsonl"), &key)?,
        plain: Plain::read(folder.join("plain").join(&key)),
    };
    let summary = run.whole()?;
    fs::write(folder.join("outcome.txt"), &summary.text).context("could not write the outcome")?;
    print!("{}", summary.text);
    Ok(if summary.is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run<'a> {
    wish: &'a Wish,
    mutants: &'a [Mutant],
    left_out: &'a LeftOut,
    programs: &'a [Program],
    ground: Ground<'a>,
    tests: Journal<Test>,
    judged: Journal<Judged>,
    plain: Plain,
}

impl<'a> Run<'a> {
    /// First on SQLite, which is quicker; then on PostgreSQL whatever survived there. Whatever ran out of time beside others is
    /// asked once more alone, and believed only then.
    fn whole(&mut self) -> Result<Summary> {
        for (database, beside) in [
            (Database::Sqlite, Beside::Others),
            (Database::Sqlite, Beside::Nobody),
            (Database::Postgres, Beside::Others),
            (Database::Postgres, Beside::Nobody),
        ] {
            let open = self.open(database, beside);
            if open.is_empty() {
                continue;
            }
            let files: BTreeSet<&str> = open.iter().map(|(_, mutant)| mutant.file.as_str()).collect();
            let near: BTreeSet<u32> = (0u32..)
                .zip(self.mutants)
                .filter(|(_, mutant)| files.contains(mutant.file.as_str()))
                .map(|(number, _)| number)
                .collect();
            reach::learn(&self.ground, self.programs, (database, &near), &mut self.tests, self.wish.jobs)?;
            self.judge((database, beside), &open)?;
        }
        Ok(self.summary())
    }

    /// What is wished, can be judged and is not judged yet on `database`.
    fn open(&self, database: Database, beside: Beside) -> Vec<(u32, &'a Mutant)> {
        let so_far: BTreeMap<u32, &Judged> =
            self.judged.entries.iter().map(|judged| (judged.number, judged)).collect();
        let is_open = |number: &u32| {
            let can_be =
                !self.left_out.unviable.contains(number) && !self.left_out.unswitchable.contains(number);
            can_be && is_open(so_far.get(number).map(|judged| (judged.outcome, judged.on)), database, beside)
        };
        let wanted = (0u32..).zip(self.mutants).filter(|(number, mutant)| self.wish.wants(*number, mutant));
        wanted.filter(|(number, _)| is_open(number)).collect()
    }

    fn judge(&mut self, (database, beside): (Database, Beside), open: &[(u32, &Mutant)]) -> Result<()> {
        let bench = Bench {
            ground: self.ground,
            programs: self.programs,
            tests: &self.tests.entries,
            database,
            beside,
            remembered: Mutex::new(HashMap::new()),
        };
        let began_at = Instant::now();
        let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
        let mut done = 0;
        let jobs = if beside == Beside::Nobody { 1 } else { self.wish.jobs };
        let ask = |worker: usize, (number, mutant): &(u32, &Mutant)| bench.judge(worker, *number, mutant);
        side_by_side(jobs, open, ask, |judged| {
            done += 1;
            *counts.entry(judged.outcome).or_default() += 1;
            if matches!(judged.outcome, Outcome::Survived | Outcome::SurvivedOnSqlite) {
                println!("mutants: survived {} tests on {database:?}: {}", judged.reached_by, judged.name);
            }
            if done % TELL_AFTER == 0 || done == open.len() {
                let left = began_at.elapsed().as_secs() * (open.len() - done) as u64 / done as u64;
                println!("mutants: {done} of {}, {counts:?}, {left} s left", open.len());
                self.ground.sweep();
            }
            self.judged.add(judged)
        })
    }

    fn summary(&self) -> Summary {
        let mut outcomes: BTreeMap<u32, (Outcome, String)> = BTreeMap::new();
        for judged in &self.judged.entries {
            let by = judged.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
            let reached = format!("reached by {}{by}", judged.reached_by);
            outcomes.insert(judged.number, (judged.outcome, reached));
        }
        let unviable = self.left_out.unviable.iter();
        outcomes.extend(unviable.map(|number| (*number, (Outcome::Unviable, String::new()))));
        for (number, mutant) in (0u32..).zip(self.mutants) {
            if self.left_out.unswitchable.contains(&number) {
                outcomes.insert(number, (self.plain.outcome(&mutant.name), String::new()));
            }
        }
        let wanted = (0u32..).zip(self.mutants).filter(|(number, mutant)| self.wish.wants(*number, mutant));
        let told = wanted.filter_map(|(number, mutant)| {
            let (outcome, reached) = outcomes.remove(&number)?;
            Some((outcome, number, mutant.name.clone(), reached))
        });
        let unsteady = self.tests.entries.iter().filter(|test| test.went != Went::Well);
        let unsteady = unsteady.map(|test| (test.name.clone(), test.went)).collect();
        let wavering = self.judged.entries.iter().flat_map(|judged| judged.wavering.iter().cloned());
        let mut summary = Summary::of(told.collect(), unsteady, &wavering.collect());
        let unasked = self.left_out.unswitchable.iter().filter_map(|number| {
            let mutant = self.mutants.get(usize::try_from(*number).ok()?)?;
            let is_unasked = self.plain.outcome(&mutant.name) == Outcome::Unswitchable;
            (is_unasked && self.wish.wants(*number, mutant)).then_some(mutant.name.as_str())
        });
        summary.text.push_str(&self.plain.order(&self.wish.config, unasked));
        summary
    }
}

/// What became of everything that was wished.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    text: String,
    is_clean: bool,
}

impl Summary {
    fn of(
        mut told: Vec<(Outcome, u32, String, String)>,
        unsteady: Vec<(String, Went)>,
        wavering: &BTreeSet<String>,
    ) -> Self {
        told.sort();
        let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
        let mut text = String::new();
        for (outcome, number, name, reached) in &told {
            *counts.entry(*outcome).or_default() += 1;
            text.push_str(&format!("{outcome:?} {number} {name} {reached}\n"));
        }
        for (name, went) in &unsteady {
            text.push_str(&format!("without a mutant, `{name}` goes {went:?}\n"));
        }
        for name in wavering {
            text.push_str(&format!("with one mutant, `{name}` failed and then passed alone\n"));
        }
        let counted: Vec<String> =
            counts.iter().map(|(outcome, count)| format!("{count} {outcome:?}")).collect();
        text.push_str(&format!("{} mutants: {}\n", told.len(), counted.join(", ")));
        let is_settled = counts.keys().all(|outcome| outcome.is_settled());
        let is_clean = is_settled && unsteady.is_empty() && wavering.is_empty();
        Self { text, is_clean }
    }
}

/// Whether what was judged so far, and where, leaves something to be asked on `database`.
fn is_open(so_far: Option<(Outcome, Database)>, database: Database, beside: Beside) -> bool {
    match (so_far, beside) {
        (None, Beside::Others) => true,
        (Some((Outcome::SurvivedOnSqlite, _)), Beside::Others) => database == Database::Postgres,
        (Some((Outcome::OutOfTime, on)), Beside::Nobody) => on == database,
        (None | Some(_), _) => false,
    }
}

/// Asks about each of `items` on so many threads, and hands each answer on as it comes.
fn side_by_side<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    ask: impl Fn(usize, &T) -> Result<R> + Sync,
    mut answer: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (say, hear) = mpsc::channel();
        for worker in 0..jobs.max(1) {
            let (say, ask, next, is_over) = (say.clone(), &ask, &next, &is_over);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if is_over.load(Ordering::Relaxed) || say.send(ask(worker, item)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(say);
        let told = hear.iter().try_for_each(|said| answer(said?));
        is_over.store(true, Ordering::Relaxed);
        told
    })
}

#[cfg(test)]
mod tests;
