//! Builds the tests of the copy, and takes out what no compiler takes, told by the places of the compiler's errors.
//!
//! A crate's errors of types come before those of borrowing, and a crate is compiled after those it uses: so in rounds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::list::{Judges, Mutant};
use super::tree::{LeftOut, Tree};
use crate::command::{Ending, Invocation};
use crate::workspace::{Workspace, cargo};

/// Builds until one succeeds: two a crate, and some to spare.
const MAX_ROUNDS: usize = 16;
/// One build, from nothing on two busy cores.
const MAX_BUILD: Duration = Duration::from_secs(60 * 60);

/// A program with tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Its target: `it`, or the crate where it holds the unit tests.
    pub(super) target: String,
    /// Where it is.
    pub(super) path: PathBuf,
    /// Where cargo would run it.
    pub(super) folder: PathBuf,
}

/// Writes the copy and builds it, and again without what did not compile.
pub(super) fn build(
    workspace: &Workspace,
    tree: &mut Tree,
    mutants: &[Mutant],
    judges: &Judges,
    left_out: &mut LeftOut,
) -> Result<Vec<Program>> {
    for round in 1..=MAX_ROUNDS {
        tree.write(mutants, left_out)?;
        println!(
            "mutants: build {round}, without {} that do not compile or have no switch",
            left_out.unviable.len() + left_out.unswitchable.len()
        );
        let words =
            ["test", "--workspace", "--locked", "--no-run", "--no-fail-fast", "--message-format=json"];
        let (ending, said) = Invocation::new(cargo(), &words)
            .and(judges.targets.iter().cloned())
            // What comes from elsewhere is compiled there already: the packages and their features are the same.
            .with("CARGO_TARGET_DIR", workspace.target.to_string_lossy())
            .within(&tree.root)
            .output(MAX_BUILD)?;
        let said: Vec<Said> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        match ending {
            Ending::Success => return Ok(programs(&said, judges)),
            Ending::TimedOut => bail!("the build took more than {} s", MAX_BUILD.as_secs()),
            Ending::Failure => take_out(&said, tree, left_out)?,
        }
    }
    bail!("after {MAX_ROUNDS} builds something still does not compile")
}

fn programs(said: &[Said], judges: &Judges) -> Vec<Program> {
    let mut programs = Vec::new();
    for said in said {
        let Said::Artifact { manifest_path, target, executable: Some(path), package_id } = said else {
            continue;
        };
        // `path+file:///…/crates/web#portcullis-web@0.1.0`
        let is_of = |package: &String| package_id.contains(&format!("#{package}@"));
        let Some(folder) = manifest_path.parent().filter(|_| judges.packages.iter().any(is_of)) else {
            continue;
        };
        programs.push(Program { target: target.name.clone(), path: path.clone(), folder: folder.to_owned() });
    }
    programs.sort_by(|one, other| one.path.cmp(&other.path));
    programs
}

/// Finds whose the errors are. At least one must be somebody's, or the next build would fail alike.
fn take_out(said: &[Said], tree: &Tree, left_out: &mut LeftOut) -> Result<()> {
    let before = (left_out.unviable.len(), left_out.constant.len());
    let mut unknown = Vec::new();
    for said in said {
        let Said::Message { message } = said else { continue };
        if message.level != "error" || message.is_a_sum() {
            continue;
        }
        if let Some(function) = message.not_constant() {
            left_out.constant.insert(function);
            continue;
        }
        let found = message.whose(tree);
        if found.is_empty() {
            unknown.push(message.rendered.clone().unwrap_or_else(|| message.message.clone()));
        }
        left_out.unviable.extend(found);
    }
    if before == (left_out.unviable.len(), left_out.constant.len()) {
        bail!("the build failed, and no mutant is why:\n{}", unknown.join("\n"));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Said {
    #[serde(rename = "compiler-message")]
    Message { message: Message },
    #[serde(rename = "compiler-artifact")]
    Artifact { package_id: String, manifest_path: PathBuf, target: Target, executable: Option<PathBuf> },
    #[serde(other)]
    Else,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// A message of the compiler.
#[derive(Debug, Deserialize)]
struct Message {
    message: String,
    level: String,
    #[serde(default)]
    spans: Vec<MessageSpan>,
    #[serde(default)]
    children: Vec<Message>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct MessageSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Debug, Deserialize)]
struct Expansion {
    span: MessageSpan,
}

impl Message {
    /// `aborting due to 3 previous errors`
    fn is_a_sum(&self) -> bool {
        self.spans.is_empty() && self.children.is_empty()
    }

    /// The function that the code asks for at compile time and that is constant no longer.
    fn not_constant(&self) -> Option<String> {
        let (_, named) = self.message.split_once("cannot call non-const ")?;
        let path = named.split('`').nth(1)?;
        let function = path.rsplit("::").next()?;
        (!path.ends_with("mutant::is")).then(|| function.to_owned())
    }

    /// Whose it is: told by what it points at first, then by what else it points at.
    fn whose(&self, tree: &Tree) -> BTreeSet<u32> {
        let first = self.spans.iter().filter(|span| span.is_primary);
        let then = self.spans.iter().filter(|span| !span.is_primary);
        let last = self.children.iter().flat_map(|child| &child.spans);
        for span in first.chain(then).chain(last) {
            let found = span.whose(tree);
            if !found.is_empty() {
                return found;
            }
        }
        BTreeSet::new()
    }
}

impl MessageSpan {
    fn whose(&self, tree: &Tree) -> BTreeSet<u32> {
        let range: Range<usize> = self.byte_start..self.byte_end;
        let here = tree.rewritten.get(&self.file_name).map_or(&[][..], |text| text.around(&range));
        match &self.expansion {
            Some(expansion) if here.is_empty() => expansion.span.whose(tree),
            _ => here.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Judges, Said, programs};

    fn said(line: &str) -> Said {
        serde_json::from_str(line).unwrap()
    }

    fn not_constant(message: &str) -> Option<String> {
        let line = format!(
            r#"{{"reason":"compiler-message","message":{{"message":"{message}","level":"error","rendered":null}}}}"#
        );
        let Said::Message { message } = said(&line) else { panic!("it is a message") };
        message.not_constant()
    }

    #[test]
    fn a_function_that_a_constant_asks_is_told_by_its_name_and_the_switch_is_none() {
        let function = "cannot call non-const associated function `Rank::min` in constants";
        assert_eq!(not_constant(function).as_deref(), Some("min"));
        let generic = "cannot call non-const associated function `Id::<Key>::nil` in constant functions";
        assert_eq!(not_constant(generic).as_deref(), Some("nil"));
        assert_eq!(not_constant("cannot call non-const function `mutant::is` in constants"), None);
        assert_eq!(not_constant("mismatched types"), None);
    }

    #[test]
    fn only_test_programs_of_the_judges_are_run_and_what_else_cargo_says_is_passed_over() {
        let artifact = |package: &str, executable: &str| {
            said(&format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///x/crates/{package}#portcullis-{package}@0.1.0",
                "manifest_path":"/x/crates/{package}/Cargo.toml","target":{{"name":"it"}},"executable":{executable}}}"#
            ))
        };
        let lines = [
            artifact("web", r#""/x/it-1""#),
            artifact("web", "null"),
            artifact("scim", r#""/x/it-2""#),
            said(r#"{"reason":"build-finished","success":true}"#),
        ];
        let judges = Judges { packages: vec!["portcullis-web".to_owned()], targets: Vec::new() };
        let found = programs(&lines, &judges);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].folder, std::path::Path::new("/x/crates/web"));
    }
}
