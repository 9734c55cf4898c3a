//! A file that grows by a line with each answer, so that a run that was ended goes on where it was.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Answers of one kind. The first line says for which state of the code they hold.
#[derive(Debug)]
pub(super) struct Journal<T> {
    file: File,
    /// In their order.
    pub(super) entries: Vec<T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// What was answered for `key`; nothing where the file is of another state or not there.
    pub(super) fn open(path: &Path, key: &str) -> Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let is_of_now = lines.next() == Some(key);
        // A line that was cut off when the run was ended is the last one, and is answered anew.
        let entries: Vec<T> = match is_of_now {
            true => lines.map_while(|line| serde_json::from_str(line).ok()).collect(),
            false => Vec::new(),
        };
        let mut file = File::create(path).with_context(|| format!("could not make `{}`", path.display()))?;
        writeln!(file, "{key}").context("could not write down for which code it is")?;
        let mut journal = Self { file, entries: Vec::new() };
        entries.into_iter().try_for_each(|entry| journal.add(entry))?;
        Ok(journal)
    }

    /// Writes down one more.
    pub(super) fn add(&mut self, entry: T) -> Result<()> {
        let line = serde_json::to_string(&entry).context("an answer is no JSON")?;
        writeln!(self.file, "{line}").context("could not write an answer down")?;
        self.entries.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Journal;

    #[test]
    fn a_journal_goes_on_for_the_same_code_behind_a_line_that_was_cut_off_and_begins_anew_for_other_code() {
        let path = std::env::temp_dir().join(format!("portcullis-journal-{}", std::process::id()));
        let mut journal = Journal::open(&path, "one").unwrap();
        journal.add(1).unwrap();
        journal.add(2).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("[3");
        std::fs::write(&path, text).unwrap();
        assert_eq!(Journal::<u32>::open(&path, "one").unwrap().entries, [1, 2]);
        assert_eq!(Journal::<u32>::open(&path, "one").unwrap().entries, [1, 2], "it is written again");
        assert!(Journal::<u32>::open(&path, "other").unwrap().entries.is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}
