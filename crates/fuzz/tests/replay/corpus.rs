//! The corpora: what is kept, that it is small, and what each input and its neighbours do.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use portcullis_fuzz::Target;

/// The most that one target's corpus may weigh, in bytes: it is read by people, and cloned by everybody.
const MAX_CORPUS_BYTES: usize = 200_000;
/// How many changed inputs a target is tried with in every run: half a second of each.
const CHANGES: usize = 4_000;

fn folder(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The kept inputs in the order of their names.
fn corpus(target: Target) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn try_all(target: Target, inputs: impl Iterator<Item = Vec<u8>>) {
    for input in inputs {
        if catch_unwind(AssertUnwindSafe(|| target.run(&input))).is_err() {
            panic!("`{}` breaks a property with {:?}", target.name, String::from_utf8_lossy(&input));
        }
    }
}

/// Repeatable choices (splitmix64): a red run is red again.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % limit.max(1)
    }
}

/// An input with a few changes: bytes flipped, cut, doubled, taken from another input.
fn changed(choices: &mut Choices, corpus: &[Vec<u8>], max_bytes: usize) -> Vec<u8> {
    let mut below = |limit: usize| choices.below(limit);
    let mut input = corpus[below(corpus.len())].clone();
    for _ in 0..=below(4) {
        let (at, to) = (below(input.len() + 1), below(input.len() + 1));
        let (from, end) = (at.min(to), at.max(to));
        match below(6) {
            0 if at < input.len() => input[at] ^= 1 << below(8),
            1 if at < input.len() => input[at] = b" \"\\()[]{}.:,$0e-"[below(16)],
            2 => drop(input.drain(from..end)),
            3 => {
                let piece = input[from..end].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let other = &corpus[below(corpus.len())];
                let start = below(other.len() + 1);
                let length = below(other.len() - start + 1);
                input.splice(from..end, other[start..start + length].iter().copied());
            }
        }
    }
    input.truncate(max_bytes);
    input
}

#[test]
fn every_target_has_a_small_corpus_and_every_corpus_a_target() {
    for target in Target::ALL {
        let inputs = corpus(target);
        let bytes: usize = inputs.iter().map(Vec::len).sum();
        assert!(!inputs.is_empty(), "`{}` has no seed", target.name);
        assert!(bytes <= MAX_CORPUS_BYTES, "the corpus of `{}` has {bytes} bytes", target.name);
        let distinct: BTreeSet<&Vec<u8>> = inputs.iter().collect();
        assert_eq!(distinct.len(), inputs.len(), "`{}` keeps an input twice", target.name);
    }
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(Target::find(&name).is_some(), "the corpus `{name}` has no target");
    }
}

#[test]
fn every_target_takes_what_it_can_take_of_something_that_is_kept() {
    let differing = Target::ALL.into_iter().filter_map(|target| {
        let taken: BTreeSet<&str> = corpus(target).iter().flat_map(|input| target.run(input).0).collect();
        let says: BTreeSet<&str> = target.takes.iter().copied().collect();
        (taken != says)
            .then(|| format!("`{}` takes {taken:?} of what is kept, and says {says:?}", target.name))
    });
    assert_eq!(differing.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_kept_input_keeps_the_properties() {
    for target in Target::ALL {
        try_all(target, corpus(target).into_iter());
    }
}

#[test]
fn every_neighbour_of_a_kept_input_keeps_the_properties() {
    for target in Target::ALL {
        let corpus = corpus(target);
        let mut choices = Choices(7);
        try_all(target, (0..CHANGES).map(|_| changed(&mut choices, &corpus, target.max_bytes)));
    }
}
