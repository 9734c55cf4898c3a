//! The reference page of the settings, made from the table.
//!
//! A test holds that `docs/reference/settings.md` is this page, and writes it when asked to.

use std::fmt::Write as _;

use super::{Fallback, Kind, Reach, Setting, TABLE};

const OPENING: &str = "\
# Settings

<!-- Made from the table in `crates/server/src/settings.rs`; a test compares them and says how to write this page again. -->

A setting can be given in the configuration file, in the environment and on the command line; what holds a secret
(`root_token`) in the environment alone. A flag wins over the environment, the environment over the file, the file over
the default. The file is `portcullis.toml` where Portcullis is started, or the one that `--config FILE` or
`PORTCULLIS_CONFIG` names. Relative paths begin where Portcullis is started.

An unknown key in the file and an unknown variable that begins with `PORTCULLIS_` refuse to start, and the message names
the nearest known one. `portcullis config check` reads everything, says what holds and where it comes from, and starts
nothing.

In the file, lists may be written as TOML lists of strings instead of texts with commas.
";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut page = OPENING.to_owned();
    let mut section = None;
    for setting in TABLE {
        if section != Some(setting.section) {
            section = Some(setting.section);
            page.push_str(&heading(setting.section));
        }
        page.push_str(&entry(setting));
    }
    page
}

/// As it is written there. A switch is on by its name alone, and takes a word only behind `=`.
fn on_the_command_line(setting: &Setting) -> String {
    let (flag, value) = (setting.flag(), setting.kind.placeholder());
    match setting.kind {
        Kind::Switch => format!("`--{flag}[={value}]`"),
        _ => format!("`--{flag} {value}`"),
    }
}

fn heading(section: &str) -> String {
    if section.is_empty() {
        "\n## At the top of the file\n".to_owned()
    } else {
        format!("\n## `[{section}]`\n")
    }
}

fn entry(setting: &Setting) -> String {
    let mut entry = format!("\n### `{}`\n\n{}\n{}\n\n", setting.key(), setting.doc, setting.guards);
    let fallback = match setting.fallback {
        Fallback::Value("") => "none".to_owned(),
        Fallback::Value(text) => format!("`{text}`"),
        Fallback::Derived(words) | Fallback::Unset(words) => words.to_owned(),
    };
    let lines = [
        Some(("Value", setting.kind.expected())),
        Some(("Default", fallback)),
        Some(("Environment", format!("`{}`", setting.variable()))),
        (setting.reach == Reach::Everywhere).then(|| ("Command line", on_the_command_line(setting))),
    ];
    for (name, value) in lines.into_iter().flatten() {
        // INVARIANT: writing to a String does not fail.
        let _ = writeln!(entry, "- {name}: {value}");
    }
    entry
}
