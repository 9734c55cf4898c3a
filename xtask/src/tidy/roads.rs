//! The two roads of writing: what gives or takes access goes by a `Change`, what does neither by a `Note`, and no table
//! is on both.
//!
//! The wall holds only if every statement says its road and says it truly, so that is checked here too: each statement
//! is a named constant, listed, and what it is marked as is what it does.

use super::source::{Literal, Token};
use super::{Fault, Source, Tree};

/// Where the statements are.
const STORE: &str = "crates/store/src/";
/// The list of the lists.
const STATEMENTS: &str = "crates/store/src/statement.rs";
/// The files that may hold SQL which is no statement of a noun: the dialects and the runner of migrations.
const WITHOUT_STATEMENTS: [&str; 3] =
    ["crates/store/src/db.rs", "crates/store/src/migration.rs", "crates/store/src/pool.rs"];
/// The roads, as the constructors of a statement are called.
const ROADS: [&str; 3] = ["read", "change", "note"];
/// What begins the writing of a table, whose name follows.
const WRITES: [&str; 3] = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];

/// Tables whose rows a change writes and what follows the commit completes: numbers, signatures and deliveries, which
/// give no access. Such a note fills only what is empty, so it says `IS NULL`. Decision record 0002 says why.
const COMPLETED_LATER: [&str; 3] = ["audit_events", "outbox", "receipts"];
/// The ends of the names of statements for one database only, which no test can prepare on the other.
const ONE_DATABASE: [&str; 2] = ["POSTGRES", "SQLITE"];

/// One statement as the source declares it.
struct Declared<'a> {
    file: &'a str,
    line: usize,
    road: &'static str,
    name: &'a str,
    writes: Vec<&'a str>,
    fills_only_empty: bool,
}

/// A macro that makes SQL, by its name.
struct Macro<'a> {
    name: &'a str,
    from: usize,
    to: usize,
}

/// Finds statements on the wrong road, tables on both, and SQL that is in no list.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let in_store = |source: &&Source| source.path.starts_with(STORE) && !source.is_test();
    let sources: Vec<&Source> = tree.sources.iter().filter(in_store).collect();
    let mut faults = Vec::new();
    let mut all: Vec<Declared<'_>> = Vec::new();
    for source in sources {
        let (declared, stray) = declared_in(source);
        all.extend(declared);
        if !WITHOUT_STATEMENTS.contains(&source.path.as_str()) {
            let mend = "make it a `const` of type `Statement`, listed in this file's `ALL`";
            faults.extend(
                stray
                    .into_iter()
                    .map(|line| Fault::new(&source.path, line, "SQL outside a `Statement`", mend)),
            );
        }
        faults.extend(unlisted(source, tree));
    }
    let mut marked = wrongly_marked(&all);
    marked.extend(on_both_roads(&all));
    marked.extend(faults);
    marked
}

/// The statements of a file, and the lines of its strings that are SQL without being part of one.
fn declared_in(source: &Source) -> (Vec<Declared<'_>>, Vec<usize>) {
    let macros = macros_in(source);
    let mut declared = Vec::new();
    let mut spans: Vec<(usize, usize)> = macros.iter().map(|made| (made.from, made.to)).collect();
    for road in ROADS {
        let constructor = format!("Statement::{road}(");
        for (at, found) in source.code.match_indices(&constructor) {
            let behind = source.code.get(at + found.len()..).unwrap_or_default();
            let end = at + found.len() + closing(behind, '(', ')');
            let mut strings = strings_in(source, at, end);
            let Some(name) = strings.next() else { continue };
            let code = source.code.get(at..end).unwrap_or_default();
            let called = macros.iter().filter(|made| code.contains(&format!("{}!(", made.name)));
            let texts: Vec<&str> = strings
                .chain(called.flat_map(|made| strings_in(source, made.from, made.to)))
                .map(|string| string.text.as_str())
                .collect();
            declared.push(Declared {
                file: &source.path,
                line: name.line,
                road,
                name: &name.text,
                fills_only_empty: texts.iter().any(|text| text.contains(" IS NULL")),
                writes: texts.into_iter().flat_map(written).collect(),
            });
            spans.push((at, end));
        }
    }
    declared.sort_by_key(|statement| statement.line);
    let is_stray = |string: &&Literal| {
        let is_sql = string.text.contains("SELECT ") || !written(&string.text).is_empty();
        is_sql && !spans.iter().any(|&(at, end)| (at..end).contains(&string.at))
    };
    let stray = source.strings.iter().filter(is_stray).filter(|string| !source.is_test_line(string.line));
    (declared, stray.map(|string| string.line).collect())
}

fn strings_in(source: &Source, from: usize, to: usize) -> impl Iterator<Item = &Literal> {
    source.strings.iter().filter(move |string| (from..to).contains(&string.at))
}

/// The macros that a file defines, with where their bodies begin and end.
fn macros_in(source: &Source) -> Vec<Macro<'_>> {
    let mut macros = Vec::new();
    for (at, found) in source.code.match_indices("macro_rules! ") {
        let rest = source.code.get(at + found.len()..).unwrap_or_default();
        let Some((name, body)) = rest.split_once('{') else { continue };
        let from = at + found.len() + name.len() + 1;
        macros.push(Macro { name: name.trim(), from, to: from + closing(body, '{', '}') });
    }
    macros
}

/// The length of what an opened parenthesis or brace holds.
fn closing(code: &str, open: char, close: char) -> usize {
    let mut depth = 1_usize;
    for (at, character) in code.char_indices() {
        if character == open {
            depth += 1;
        } else if character == close {
            depth -= 1;
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// The tables that `sql` writes. `DO UPDATE SET` and `FOR UPDATE` name none.
fn written(sql: &str) -> Vec<&str> {
    let mut tables = Vec::new();
    for write in WRITES {
        for (at, found) in sql.match_indices(write) {
            let rest = sql.get(at + found.len()..).unwrap_or_default();
            let table =
                rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
            let is_name = table.starts_with(|c: char| c.is_ascii_lowercase());
            if is_name && !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

fn wrongly_marked(all: &[Declared<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for statement in all {
        let name = statement.name;
        match (statement.road, statement.writes.first()) {
            ("read", Some(table)) => {
                let what = format!("`{name}` is marked as read, but writes `{table}`");
                let mend = "mark it `change` if it gives or takes access, else `note`";
                faults.push(Fault::new(statement.file, statement.line, what, mend));
            }
            (road @ ("change" | "note"), None) => {
                let what = format!("`{name}` is marked as {road}, but writes nothing");
                faults.push(Fault::new(statement.file, statement.line, what, "mark it `read`"));
            }
            _ => {}
        }
    }
    faults
}

fn on_both_roads(all: &[Declared<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for statement in all.iter().filter(|statement| statement.road == "note") {
        for table in &statement.writes {
            if COMPLETED_LATER.contains(table) && statement.fills_only_empty {
                continue;
            }
            if all.iter().any(|other| other.road == "change" && other.writes.contains(table)) {
                let what = format!("`{table}` is written by a note here and by a change elsewhere");
                let mend = "give the note a table of its own: what gives or takes access is written by changes alone";
                faults.push(Fault::new(statement.file, statement.line, what, mend));
            }
        }
    }
    faults
}

/// Statements that are not in their file's `ALL`, and a file's `ALL` that is not in the list of the lists.
fn unlisted(source: &Source, tree: &Tree) -> Vec<Fault> {
    let tokens = source.tokens();
    let mut faults = Vec::new();
    let mut list: Option<(usize, Vec<&str>)> = None;
    let mut constants: Vec<(usize, &str)> = Vec::new();
    for (index, window) in tokens.windows(4).enumerate() {
        let [(_, Token::Word(word)), (line, Token::Word(name)), (_, Token::Sign(':')), (_, after)] = window
        else {
            continue;
        };
        match after {
            Token::Word(kind) if word == "const" && kind == "Statement" => constants.push((*line, name)),
            _ if word == "const" && name == "ALL" => {
                let behind = tokens.get(index..).unwrap_or_default();
                let words = behind.iter().take_while(|(_, token)| *token != Token::Sign(';'));
                let words = words.filter_map(|(_, token)| match token {
                    Token::Word(word) => Some(word.as_str()),
                    _ => None,
                });
                list = Some((*line, words.collect()));
            }
            _ => {}
        }
    }
    for (line, name) in constants {
        let one_database = ONE_DATABASE.iter().any(|database| name.ends_with(database));
        if one_database || WITHOUT_STATEMENTS.contains(&source.path.as_str()) {
            continue;
        }
        if !list.as_ref().is_some_and(|(_, words)| words.contains(&name)) {
            let mend = "list it there: what is not listed is prepared and compared on neither database";
            faults.push(Fault::new(
                &source.path,
                line,
                format!("`{name}` is not in this file's `ALL`"),
                mend,
            ));
        }
    }
    if let Some((line, _)) = list
        && source.path != STATEMENTS
    {
        let inside =
            source.path.strip_prefix(STORE).and_then(|path| path.strip_suffix(".rs")).unwrap_or_default();
        let module = inside.strip_suffix("/mod").unwrap_or(inside).replace('/', "::");
        let lists = tree.sources.iter().find(|candidate| candidate.path == STATEMENTS);
        let named = format!("crate::{module}::ALL");
        if !lists.is_some_and(|lists| lists.code.contains(&named)) {
            let what = "this file's `ALL` is not in `statement::all`";
            faults.push(Fault::new(&source.path, line, what, format!("add `{named}` there")));
        }
    }
    faults
}
