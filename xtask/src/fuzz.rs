//! Minutes of libFuzzer for each target of `crates/fuzz`: `cargo xtask fuzz [TARGET]… [--seconds N]`, and the long tier.
//!
//! The targets are plain functions that the tests of every run replay over the kept corpus. Here libFuzzer looks for
//! inputs that nobody thought of. What it finds on the way is kept in the build folder, so that the next run goes on
//! from there; an input that breaks a property is left in `target/fuzz/found` and belongs into the corpus once it is mended.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::command::{Ending, Invocation};
use crate::setup;
use crate::workspace::Workspace;

/// Which targets, and for how long each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// These; all if empty.
    targets: Vec<String>,
    seconds: u64,
}

/// How long a target is driven if nobody says it: what a contributor waits for.
const SECONDS: u64 = 60;
/// How long the long tier drives each target.
pub(crate) const LONG_SECONDS: u64 = 600;
/// One input may take this long; more is a hang. Bodies are small here, so a tenth of a second would be a find.
const MAX_INPUT_SECONDS: u64 = 5;
/// What a target may use of memory, in megabytes: bodies of a few kilobytes must not become more.
const MAX_MEGABYTES: u64 = 512;
/// How libFuzzer begins the line that says how many inputs it tried.
const TRIED: &str = "stat::number_of_executed_units:";
/// The build with libFuzzer from nothing, and the way to the first input.
const MAX_BEGIN: Duration = Duration::from_secs(30 * 60);

impl Wish {
    /// Reads `[TARGET]… [--seconds N]`.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut wish = Self { targets: Vec::new(), seconds: SECONDS };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => {
                    let number = words.next().context("`--seconds` needs a number")?;
                    wish.seconds = number.parse().with_context(|| format!("`{number}` is no number"))?;
                }
                other if other.starts_with('-') => bail!("`fuzz` does not know `{other}`"),
                target => wish.targets.push(target.to_owned()),
            }
        }
        Ok(wish)
    }
}

/// Drives the targets, as many at once as there are cores, and fails with the names of those whose properties broke.
pub(crate) fn run(workspace: &Workspace, wish: &Wish) -> Result<()> {
    setup::fuzzer(workspace)?;
    let known = known(workspace)?;
    if let Some(unknown) = wish.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{unknown}`; there are {}", known.join(", "));
    }
    let targets = if wish.targets.is_empty() { &known } else { &wish.targets };
    // libFuzzer keeps one core busy, and whoever comes first builds for the others, who wait for cargo's lock.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.iter());
    let drivers = std::thread::scope(|scope| {
        let drive = || drive_each(workspace, || next(&waiting), wish.seconds);
        let drivers: Vec<_> = (0..at_once).map(|_| scope.spawn(drive)).collect();
        drivers.into_iter().map(|driver| driver.join()).collect::<Vec<_>>()
    });
    let mut broken: Vec<&str> = Vec::new();
    for driver in drivers {
        broken.extend(driver.map_err(|_| anyhow!("a driver panicked"))??);
    }
    if broken.is_empty() {
        println!("fuzz: {} targets kept their properties for {} s each", targets.len(), wish.seconds);
        return Ok(());
    }
    bail!("broken: {}; the inputs are in {}", broken.join(", "), found(workspace).display())
}

/// Takes the next target of those that wait.
fn next<'a>(waiting: &Mutex<impl Iterator<Item = &'a String>>) -> Option<&'a str> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next().map(String::as_str)
}

/// Drives one target after another, and names those whose properties broke.
fn drive_each<'a>(
    workspace: &Workspace,
    mut next: impl FnMut() -> Option<&'a str>,
    seconds: u64,
) -> Result<Vec<&'a str>> {
    let mut broken = Vec::new();
    while let Some(target) = next() {
        let max_duration = MAX_BEGIN + Duration::from_secs(seconds);
        let mut tried = "an unknown number of".to_owned();
        let ending = drive(workspace, target, seconds)?.with_errors_read().watch(max_duration, |line| {
            if let Some(number) = line.strip_prefix(TRIED) {
                tried = number.trim().to_owned();
            }
        })?;
        println!("fuzz: {target} tried {tried} inputs");
        if ending != Ending::Success {
            broken.push(target);
        }
    }
    Ok(broken)
}

/// The targets by their corpora: a test of `crates/fuzz` holds that each has one, and that there are no others.
fn known(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = corpora(workspace);
    let entries = fs::read_dir(&folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn drive(workspace: &Workspace, target: &str, seconds: u64) -> Result<Invocation> {
    let (grown, found) = (workspace.target.join("fuzz/corpus").join(target), found(workspace).join(target));
    for folder in [&grown, &found] {
        fs::create_dir_all(folder).with_context(|| format!("could not make `{}`", folder.display()))?;
    }
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let words = [
        "fuzz".to_owned(),
        "run".to_owned(),
        "--fuzz-dir".to_owned(),
        text(workspace.root.join("crates/fuzz/libfuzzer")),
        "--target-dir".to_owned(),
        text(workspace.target.join("fuzz")),
        // There is no unsafe code of ours to watch, and without a sanitizer ten times as many inputs are tried.
        "--sanitizer".to_owned(),
        "none".to_owned(),
        "target".to_owned(),
        text(grown),
        text(corpora(workspace).join(target)),
        "--".to_owned(),
        format!("-max_total_time={seconds}"),
        format!("-timeout={MAX_INPUT_SECONDS}"),
        format!("-rss_limit_mb={MAX_MEGABYTES}"),
        format!("-artifact_prefix={}/", text(found)),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
    ];
    Ok(Invocation::new(setup::fuzzer_program(workspace), &[])
        .and(words)
        .with("PORTCULLIS_FUZZ_TARGET", target)
        // Coverage for the fuzzer is behind flags that only a nightly compiler takes without being told so.
        .with("RUSTC_BOOTSTRAP", "1")
        .within(&workspace.root))
}

fn corpora(workspace: &Workspace) -> PathBuf {
    workspace.root.join("crates/fuzz/corpus")
}

fn found(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz/found")
}

#[cfg(test)]
mod tests {
    use super::{SECONDS, Wish};

    fn parse(words: &[&str]) -> anyhow::Result<Wish> {
        Wish::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn targets_and_seconds_are_read_in_any_order_and_nothing_else_is() {
        assert_eq!(parse(&[]).unwrap(), Wish { targets: Vec::new(), seconds: SECONDS });
        let wish = parse(&["scim-filter", "--seconds", "5", "oidc-jwks"]).unwrap();
        let targets = ["scim-filter", "oidc-jwks"].map(str::to_owned).to_vec();
        assert_eq!(wish, Wish { targets, seconds: 5 });
        for words in [&["--seconds"][..], &["--seconds", "soon"], &["--minutes", "1"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
