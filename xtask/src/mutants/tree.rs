//! The copy of the workspace in which every mutant is behind a switch.
//!
//! A file is written only where it differs from what is there, so that the second build compiles what changed and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::list::Mutant;
use super::rewrite::{Rewritten, rewrite};
use super::sites::{self, Found};
use crate::workspace::Workspace;

/// The module that is put into each crate with mutants, and what asks for it.
const SWITCH: &str = include_str!("switch.rs");
const SWITCH_IN_CRATE: &str = "\n#[doc(hidden)]\nmod mutant;\n";
/// What is built, fetched or another version, and no source.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// The copy.
#[derive(Debug)]
pub(super) struct Tree {
    /// Its folder.
    pub(super) root: PathBuf,
    /// Each file of the workspace, relative to the root, as it was read.
    files: BTreeMap<String, Vec<u8>>,
    /// What was written instead, of the files with mutants.
    pub(super) rewritten: BTreeMap<String, Rewritten>,
}

/// Which mutants are left out of the copy, and why.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct LeftOut {
    /// No compiler takes them.
    pub(super) unviable: BTreeSet<u32>,
    /// They stand where no switch can be asked.
    pub(super) unswitchable: BTreeSet<u32>,
    /// Functions that are asked at compile time, and stay constant.
    pub(super) constant: BTreeSet<String>,
}

impl Tree {
    /// Reads the workspace for a copy in `root`; nothing is written yet.
    pub(super) fn read(workspace: &Workspace, root: PathBuf) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(&workspace.root, Path::new(""), &mut files)?;
        Ok(Self { root, files, rewritten: BTreeMap::new() })
    }

    /// A number for what was written under `crates` where `wants` says so. Where it is the same, so are the answers.
    pub(super) fn key(&self, mutants: &[Mutant], wants: impl Fn(&str) -> bool) -> String {
        let mut hasher = DefaultHasher::new();
        for (path, bytes) in self.files.iter().filter(|(path, _)| path.starts_with("crates/") && wants(path))
        {
            path.hash(&mut hasher);
            match self.rewritten.get(path) {
                Some(rewritten) => rewritten.text.as_bytes().hash(&mut hasher),
                None => bytes.hash(&mut hasher),
            }
        }
        mutants.iter().for_each(|mutant| mutant.name.hash(&mut hasher));
        format!("{:016x}", hasher.finish())
    }

    /// Writes the copy with `mutants` behind switches, but for those that are left out. More of them may be left out then.
    pub(super) fn write(&mut self, mutants: &[Mutant], left_out: &mut LeftOut) -> Result<()> {
        let mut by_file: BTreeMap<&str, Vec<(u32, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in (0u32..).zip(mutants) {
            if !left_out.unviable.contains(&number) {
                by_file.entry(&mutant.file).or_default().push((number, mutant));
            }
        }
        self.rewritten.clear();
        for (file, mutants) in by_file {
            let bytes = self.files.get(file).with_context(|| format!("there is no `{file}`"))?;
            let text = std::str::from_utf8(bytes).with_context(|| format!("`{file}` is no text"))?;
            let Found { sites, numbers, unviable } = sites::find(text, &mutants, &left_out.constant)
                .with_context(|| format!("could not read `{file}`"))?;
            left_out.unviable.extend(&unviable);
            let has_no_site = |number: &u32| !numbers.contains(number) && !unviable.contains(number);
            let without = mutants.iter().map(|(number, _)| *number).filter(has_no_site);
            left_out.unswitchable.extend(without);
            self.rewritten.insert(file.to_owned(), rewrite(text, &sites));
        }
        self.put()
    }

    fn put(&self) -> Result<()> {
        let rewritten_crates: BTreeSet<&str> =
            self.rewritten.keys().filter_map(|file| Some(file.split_once("/src/")?.0)).collect();
        let mut kept: BTreeSet<PathBuf> = BTreeSet::new();
        for (path, bytes) in &self.files {
            let mut bytes = match self.rewritten.get(path) {
                Some(rewritten) => rewritten.text.clone().into_bytes(),
                None => bytes.clone(),
            };
            if path.strip_suffix("/src/lib.rs").is_some_and(|owner| rewritten_crates.contains(owner)) {
                bytes.extend(SWITCH_IN_CRATE.as_bytes());
            }
            kept.insert(self.put_file(path, &bytes)?);
        }
        for owner in rewritten_crates {
            kept.insert(self.put_file(&format!("{owner}/src/mutant.rs"), SWITCH.as_bytes())?);
        }
        remove_others(&self.root, &kept)
    }

    fn put_file(&self, path: &str, bytes: &[u8]) -> Result<PathBuf> {
        let file = self.root.join(path);
        if fs::read(&file).ok().as_deref() != Some(bytes) {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).context("could not make a folder of the copy")?;
            }
            fs::write(&file, bytes).with_context(|| format!("could not write `{}`", file.display()))?;
        }
        Ok(file)
    }
}

fn read_folder(root: &Path, below: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry.context("could not read a folder")?;
        let path = below.join(entry.file_name());
        let is_left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
        let kind = entry.file_type().context("could not look at a file")?;
        if kind.is_dir() && !is_left_out {
            read_folder(root, &path, files)?;
        } else if kind.is_file() && !is_left_out {
            let bytes = fs::read(root.join(&path));
            let bytes = bytes.with_context(|| format!("could not read `{}`", path.display()))?;
            files.insert(path.to_string_lossy().into_owned(), bytes);
        }
    }
    Ok(())
}

/// Removes what the workspace has no longer.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).context("could not read the copy")? {
        let path = entry.context("could not read the copy")?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("could not remove `{}`", path.display()))?;
        }
    }
    Ok(())
}
