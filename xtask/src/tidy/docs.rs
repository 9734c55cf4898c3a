//! Prose that can be checked: links, paths named in the text, the numbers of the decision records, the proofs of the
//! invariants, the tests of what providers send.
//!
//! A document that names a file or a test that is gone is worse than none, because it is believed.

use super::{Fault, Tree};

/// Folders whose names in back-ticks are taken for paths of the repository.
const OWN_FOLDERS: [&str; 5] = ["crates/", "docs/", "xtask/", "tests/", ".ci/"];
/// Where the decision records are.
const DECISIONS: &str = "docs/decisions/";
/// The page that names, for each invariant, the test that holds it.
const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// The page that names, for each shape that a provider sends, the tests that hold it.
const SHAPES: &str = "docs/reference/scim-in-the-wild.md";
/// How the heads of that page's tables end.
const HELD_BY: &str = "| Held by |";
/// How a cell begins that says why nothing holds its row.
const UNHELD: &str = "none: ";

/// Finds what the documents say and the repository does not have.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = decisions(tree);
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with(".md")) {
        let mut in_code = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                faults.extend(links(tree, path, index + 1, line));
                faults.extend(named_paths(tree, path, index + 1, line));
            }
        }
    }
    faults.extend(proofs(tree));
    faults.extend(shapes(tree));
    faults
}

/// Links to files of the repository, and to headings in them.
fn links(tree: &Tree, path: &str, line: usize, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, _) in text.match_indices("](") {
        let target = text.get(at + 2..).and_then(|rest| rest.split_once(')')).map(|(target, _)| target);
        let Some(target) = target.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        else {
            continue;
        };
        let target = target.split_whitespace().next().unwrap_or_default();
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
        if !exists(tree, &file) {
            let what = format!("the link to `{target}` leads nowhere");
            faults.push(Fault::new(path, line, what, format!("there is no `{file}`; mend the link")));
        } else if !heading.is_empty()
            && file.ends_with(".md")
            && !headings(tree.text(&file).unwrap_or_default()).iter().any(|known| known == heading)
        {
            let what = format!("the link to `{target}` leads to no heading");
            faults.push(Fault::new(path, line, what, format!("`{file}` has no heading `#{heading}`")));
        }
    }
    faults
}

/// Paths in back-ticks that begin with one of our folders and have no placeholder in them.
fn named_paths(tree: &Tree, path: &str, line: usize, text: &str) -> Vec<Fault> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        OWN_FOLDERS.iter().any(|folder| word.starts_with(folder))
            && !word.contains(|character: char| character.is_whitespace() || "<>{}*…:$".contains(character))
            && !word.contains("NNNN")
    };
    let missing = quoted.filter(is_path).filter(|word| !exists(tree, word.trim_end_matches('/')));
    let fault = |word: &str| {
        let mend = "name what is there; write a placeholder as `<noun>`";
        Fault::new(path, line, format!("`{word}` is named, but is not there"), mend)
    };
    missing.map(fault).collect()
}

/// Decision records are numbered from 0001 without a gap, and their titles say the number.
fn decisions(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut records: Vec<(&str, &str)> = Vec::new();
    for (path, text) in &tree.texts {
        if let Some(name) = path.strip_prefix(DECISIONS)
            && name != "README.md"
        {
            records.push((name, text));
        }
    }
    records.sort();
    for (index, (name, text)) in records.iter().enumerate() {
        let number = format!("{:04}", index + 1);
        let path = format!("{DECISIONS}{name}");
        if !name.strip_prefix(number.as_str()).is_some_and(|rest| rest.starts_with('-')) {
            let mend =
                format!("give it the number {number}: records are numbered from 0001 without gap or double");
            faults.push(Fault::new(&path, 1, "the record's number is not the next one", mend));
        }
        let own = name.split('-').next().unwrap_or_default();
        if !text.lines().next().is_some_and(|title| title.starts_with(&format!("# {own}. "))) {
            let mend = format!("begin it with `# {own}. ` and the decision in one line");
            faults.push(Fault::new(&path, 1, "the record's title does not say its number", mend));
        }
    }
    faults
}

/// Each row of an invariant in ARCHITECTURE.md names at least one test, and every test that it names is there.
fn proofs(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let text = tree.text(ARCHITECTURE).unwrap_or_default();
    for (index, line) in text.lines().enumerate() {
        let Some(invariant) = invariant_of(line) else { continue };
        let is_test_name = |word: &&str| {
            word.matches('_').count() >= 2
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let named: Vec<&str> =
            line.split('`').skip(1).step_by(2).map(last_segment).filter(is_test_name).collect();
        if named.is_empty() {
            let mend = "name in back-ticks the test that holds it";
            faults.push(Fault::new(
                ARCHITECTURE,
                index + 1,
                format!("nothing is said to hold {invariant}"),
                mend,
            ));
        }
        for test in named {
            let declared = format!("fn {test}(");
            if !tree.sources.iter().any(|source| source.code.contains(&declared)) {
                let what = format!("`{test}` is said to hold {invariant}, but is not there");
                faults.push(Fault::new(ARCHITECTURE, index + 1, what, "name a test that there is"));
            }
        }
    }
    faults
}

/// Each shape names at least one test as `room::file::name`, all of which are there, or says why there is none.
fn shapes(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_table = false;
    for (index, line) in tree.text(SHAPES).unwrap_or_default().lines().enumerate() {
        let is_head = line.ends_with(HELD_BY);
        in_table = is_head || (in_table && line.starts_with('|'));
        if !in_table || is_head || line.starts_with("|---") {
            continue;
        }
        let cell = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        if cell.starts_with(UNHELD) {
            continue;
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            let mend = format!("name the test, or begin with `{UNHELD}` and the reason");
            faults.push(Fault::new(SHAPES, index + 1, "nothing is said to hold this shape", mend));
        }
        for test in named.into_iter().filter(|test| !is_in_its_file(tree, test)) {
            let what = format!("`{test}` is said to hold this shape, but is not there");
            faults.push(Fault::new(SHAPES, index + 1, what, "name a test as `room::file::name`"));
        }
    }
    faults
}

/// Whether `room::file::name` is a function of a file of that name in that room.
fn is_in_its_file(tree: &Tree, test: &str) -> bool {
    let mut segments = test.split("::");
    let (Some(room), Some(file), Some(name), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return false;
    };
    let (room, file, declared) = (format!("crates/{room}/"), format!("/{file}.rs"), format!("fn {name}("));
    tree.sources.iter().any(|source| {
        source.path.starts_with(&room) && source.path.ends_with(&file) && source.code.contains(&declared)
    })
}

fn last_segment(word: &str) -> &str {
    word.rsplit("::").next().unwrap_or(word)
}

/// `I7` for a table row that begins with it.
fn invariant_of(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.split('|').next()?.trim().trim_matches('*');
    let digits = cell.strip_prefix('I')?;
    (!digits.is_empty() && digits.chars().all(|character| character.is_ascii_digit())).then_some(cell)
}

/// The path that `target` means in a link on page `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    if target.starts_with('/') {
        folders.clear();
    }
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                folders.pop();
            }
            other => folders.push(other),
        }
    }
    folders.join("/")
}

/// True if `path` is a file or a folder of the repository.
fn exists(tree: &Tree, path: &str) -> bool {
    let lies_in = |candidate: &String| {
        candidate.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path.is_empty() || tree.paths.iter().any(lies_in)
}

/// The anchors of a page's headings, as code hosts make them.
fn headings(text: &str) -> Vec<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim().to_lowercase())
    };
    let anchor = |title: String| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|character| if character == ' ' { '-' } else { character }).collect()
    };
    text.lines().filter_map(heading).map(anchor).collect()
}
