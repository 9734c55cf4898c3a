//! The architecture as a test: what the design says about rooms, words, sizes and links, checked on every run.
//!
//! Each check is a function from the repository's text to faults, without files or processes of its own, so that its
//! tests can plant the fault that it is there to find.

mod answers;
mod arrows;
mod docs;
mod guide;
mod mutated;
mod reach;
mod roads;
mod source;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

pub(crate) use self::source::Source;

/// Folders that hold nothing of ours.
const FOREIGN_FOLDERS: [&str; 4] = ["target", "node_modules", "portcullis-data", "mutants.out"];
/// Folders whose name begins with a dot are not looked into, but for these.
const DOTTED_FOLDERS: [&str; 2] = [".ci", ".cargo"];

/// Something to mend: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file, relative to the root.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) mend: String,
}

/// The files that the checks read.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Rust files, read as a compiler would.
    pub(crate) sources: Vec<Source>,
    /// Everything else that is text: manifests, what configures cargo's tools, and Markdown by path.
    pub(crate) texts: Vec<(String, String)>,
    /// The path of every file, for links.
    pub(crate) paths: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}\n    {}", self.file, self.line, self.what, self.mend)
    }
}

impl Fault {
    /// A fault in `file` at `line`.
    pub(crate) fn new(file: &str, line: usize, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), mend: mend.into() }
    }
}

impl Tree {
    /// Reads the repository.
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        tree.paths.sort();
        tree.sources.sort_by(|one, other| one.path.cmp(&other.path));
        tree.texts.sort();
        Ok(tree)
    }

    fn add_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let entries =
            fs::read_dir(root.join(folder)).with_context(|| format!("could not list `{folder}`"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("could not list `{folder}`"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let hidden = name.starts_with('.') && !DOTTED_FOLDERS.contains(&name.as_str());
                if !hidden && !FOREIGN_FOLDERS.contains(&name.as_str()) {
                    self.add_folder(root, &path)?;
                }
                continue;
            }
            let is_manifest = name == "Cargo.toml" || path.starts_with(".cargo/");
            let is_text = path.ends_with(".rs") || path.ends_with(".md") || is_manifest;
            // A file that another program removes while we look is no fault of the repository.
            if is_text && let Ok(text) = fs::read_to_string(entry.path()) {
                self.add(&path, &text);
            } else {
                self.paths.push(path);
            }
        }
        Ok(())
    }

    /// Adds one text file.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        self.paths.push(path.to_owned());
        if path.ends_with(".rs") {
            self.sources.push(Source::parse(path, text));
        } else {
            self.texts.push((path.to_owned(), text.to_owned()));
        }
    }

    /// The text of one file that is not Rust.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|(candidate, _)| candidate == path).map(|(_, text)| text.as_str())
    }
}

/// Runs every check over the repository.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Fault>> {
    let tree = Tree::read(&workspace.root)?;
    let mut faults = arrows::check(&workspace.crates, &tree);
    faults.extend(arrows::unused(&workspace.crates, &tree));
    faults.extend(reach::check(&tree));
    faults.extend(words::check(&tree));
    faults.extend(roads::check(&tree));
    faults.extend(docs::check(&tree));
    faults.extend(guide::check(&tree));
    faults.extend(mutated::check(&tree));
    faults.extend(answers::check(&tree));
    Ok(faults)
}

#[cfg(test)]
mod tests;
