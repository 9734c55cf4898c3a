//! Words and sizes: names that say nothing, modules without a first line, what is too long or too wide, work put off.
//!
//! Each of these is small; together they are what lets a newcomer find a place in a minute.

use super::source::Token;
use super::{Fault, Source, Tree};

/// Words that a type or a module is not named by: they say nothing, or they are another word for one of ours.
const UNUSED_WORDS: [(&str, &str); 8] = [
    ("tenant", "say `organization`"),
    ("account", "say `user`, `membership` or `agent`"),
    ("credential", "say `authenticator` or `token`"),
    ("manager", "name what it does"),
    ("helper", "name what it does, and put it beside what uses it"),
    ("util", "name what it does, and put it beside what uses it"),
    ("common", "name what it holds"),
    ("misc", "name what it holds"),
];
/// What declares a name that the words are checked in.
const DECLARATIONS: [&str; 5] = ["struct", "enum", "trait", "type", "mod"];
/// The longest a file may be; half of it is better.
const MAX_LINES: usize = 800;
/// The most characters of a line with a comment: the formatter wraps code and leaves these.
const MAX_COMMENT: usize = 130;
/// Marks of work put off, in two parts so that this file does not hold them.
const PUT_OFF: [(&str, &str); 3] = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")];

/// Finds bad names, missing first lines, long files, wide comments and marks of work put off.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in &tree.sources {
        faults.extend(names(source));
        faults.extend(first_line(source));
        faults.extend(length(source));
        faults.extend(wide(source));
        faults.extend(put_off(source));
    }
    faults
}

fn names(source: &Source) -> Vec<Fault> {
    let tokens = source.tokens();
    let mut faults = Vec::new();
    for pair in tokens.windows(2) {
        let [(_, Token::Word(declaration)), (line, Token::Word(name))] = pair else { continue };
        if !DECLARATIONS.contains(&declaration.as_str()) {
            continue;
        }
        let words = words_of(name);
        for (unused, instead) in UNUSED_WORDS {
            if words.iter().any(|word| word == unused || word.strip_suffix('s') == Some(unused)) {
                let what = format!("`{declaration} {name}`: `{unused}` is not one of our words");
                faults.push(Fault::new(&source.path, *line, what, instead));
            }
        }
    }
    faults
}

/// The words of a name in camel or snake case, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character.is_uppercase() || character == '_' {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && character != '_'
        {
            word.extend(character.to_lowercase());
        }
    }
    words
}

fn first_line(source: &Source) -> Option<Fault> {
    let first = source.text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let says_something = first.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty());
    let mend = "begin with `//!`: first what this module is, then why it is here";
    (!says_something).then(|| Fault::new(&source.path, 1, "the module does not say what it is", mend))
}

fn length(source: &Source) -> Option<Fault> {
    let lines = source.text.lines().count();
    let what = format!("the file has {lines} lines, {MAX_LINES} are the most");
    let mend = "take a noun out of it into a file of its own";
    (lines > MAX_LINES).then(|| Fault::new(&source.path, MAX_LINES + 1, what, mend))
}

fn wide(source: &Source) -> Vec<Fault> {
    let comments = source.text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//"));
    let widths = comments.map(|(index, line)| (index + 1, line.chars().count()));
    let too_wide = widths.filter(|(_, width)| *width > MAX_COMMENT);
    let fault = |(line, width)| {
        let what = format!("the comment has {width} characters in a line, {MAX_COMMENT} are the most");
        Fault::new(&source.path, line, what, "wrap it")
    };
    too_wide.map(fault).collect()
}

fn put_off(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for (one, other) in PUT_OFF {
            let mark = format!("{one}{other}");
            let is_word = |(at, _): (usize, &str)| {
                let letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                let after = line.get(at + mark.len()..).and_then(|text| text.chars().next());
                !letter(before) && !letter(after)
            };
            if line.match_indices(&mark).any(is_word) {
                let mend = "do it now, or say in the documentation what is not there";
                faults.push(Fault::new(&source.path, index + 1, format!("`{mark}` puts work off"), mend));
            }
        }
    }
    for pair in source.tokens().windows(2) {
        let [(line, Token::Word(word)), (_, Token::Sign('!'))] = pair else { continue };
        if word == "todo" || word == "unimplemented" {
            let mend = "write it, or refuse with an error that says that it is not available";
            faults.push(Fault::new(&source.path, *line, format!("`{word}!` is no code"), mend));
        }
    }
    faults
}
