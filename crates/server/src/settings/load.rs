//! Brings the layers together: flag over environment over file over default.
//!
//! Every value keeps where it came from, so that an error names the line to change. All problems are gathered before
//! anything is refused: whoever mends a configuration mends it once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{
    ENVIRONMENT_PREFIX, Fallback, Kind, Reach, Setting, Settings, TABLE, find_by_key, find_by_variable,
};

/// The file that is read if no other is named and it exists.
pub const DEFAULT_FILE: &str = "portcullis.toml";

/// The variable that names another file.
pub const CONFIG_VARIABLE: &str = "PORTCULLIS_CONFIG";

/// Variables that the tests of Portcullis use for themselves; they set nothing.
const FOREIGN_PREFIXES: [&str; 2] = ["PORTCULLIS_TEST_", "PORTCULLIS_BIN"];

/// What Kubernetes tells each pod of a Service called `portcullis`, and Docker each container of a link of that name, begins
/// so; no setting does.
const SERVICE_PREFIXES: [&str; 2] = ["PORTCULLIS_SERVICE_", "PORTCULLIS_PORT_"];
/// And this is the whole name of one of them.
const SERVICE_PORT: &str = "PORTCULLIS_PORT";

/// The most bytes of the file: far above all settings together, so a wrong path cannot fill memory.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// How alike (0–1) a known name must be to be offered for an unknown one; below that it only misleads.
const LEAST_LIKENESS: f64 = 0.7;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Fallback,
    /// This file.
    File(PathBuf),
    /// An environment variable.
    Environment,
    /// A flag.
    CommandLine,
}

impl Origin {
    /// How a person finds the place: `--listen`, `PORTCULLIS_LISTEN`, or the key and the file.
    #[must_use]
    pub fn place_of(&self, setting: &Setting) -> String {
        match self {
            Self::Fallback => "its default".to_owned(),
            Self::File(path) => format!("`{}` in {}", setting.key(), path.display()),
            Self::Environment => format!("`{}` in the environment", setting.variable()),
            Self::CommandLine => format!("`--{}`", setting.flag()),
        }
    }
}

/// What the layers are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Flags that were given.
    pub flags: Vec<(&'static Setting, String)>,
    /// The file that a flag named.
    pub config: Option<PathBuf>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The named file cannot be read.
    #[error("the configuration file {} cannot be read: {why}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file is not TOML.
    #[error("line {line} of {} is not TOML: {why}", path.display())]
    FileMalformed {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// What the parser said.
        why: String,
    },
    /// A key or variable that no setting has.
    #[error("`{name}` in {place} is not a setting{}", offer(nearest.as_deref()))]
    Unknown {
        /// The key or variable.
        name: String,
        /// The file or `the environment`.
        place: String,
        /// The known one that it is most like.
        nearest: Option<String>,
    },
    /// A secret in the file.
    #[error("`{key}` in {} is read from the environment only, as `{variable}`", path.display())]
    Misplaced {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
        /// The variable to use.
        variable: String,
    },
    /// A value of another kind.
    #[error("{place} is `{text}`, but must be {expected}")]
    Malformed {
        /// Where the value came from.
        place: String,
        /// The value; masked if it is a secret.
        text: String,
        /// What it must be.
        expected: String,
    },
    /// Values that are right alone and wrong together, or that no rule permits.
    #[error("{0}")]
    Refused(String),
}

fn offer(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// All that is wrong, one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// The values that hold, as text, each of its kind.
#[derive(Clone, Debug)]
pub struct Loaded {
    values: BTreeMap<String, (String, Origin)>,
    malformed: Vec<&'static Setting>,
}

impl Loaded {
    /// Reads all layers, with every unreadable file, unknown name and malformed value. A malformed value counts as not
    /// given, so that the others can be looked at.
    #[must_use]
    pub fn examined(sources: &Sources) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for setting in TABLE {
            if let Fallback::Value(text) = setting.fallback {
                values.insert(setting.key(), (text.to_owned(), Origin::Fallback));
            }
        }
        if let Some(path) = find_file(sources) {
            read_file(&path, &mut values, &mut problems);
        }
        read_environment(&sources.environment, &mut values, &mut problems);
        for (setting, text) in &sources.flags {
            values.insert(setting.key(), (text.clone(), Origin::CommandLine));
        }
        let mut loaded = Self { values, malformed: Vec::new() };
        loaded.check(&mut problems);
        (loaded, problems)
    }

    /// The text of a setting, unless nobody gave it and it has no default.
    #[must_use]
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.values.get(&setting.key()).map(|(text, _)| text.as_str())
    }

    /// Where a setting came from.
    #[must_use]
    pub fn origin(&self, setting: &Setting) -> Origin {
        self.values.get(&setting.key()).map_or(Origin::Fallback, |(_, origin)| origin.clone())
    }

    /// Every setting with its value and where that came from, secrets masked: what `config check` shows. What is made
    /// from other settings is shown as those settings make it.
    #[must_use]
    pub fn shown(&self, settings: &Settings) -> Vec<(&'static Setting, String, String)> {
        TABLE.iter().copied().map(|setting| self.shown_one(settings, setting)).collect()
    }

    fn shown_one(
        &self,
        settings: &Settings,
        setting: &'static Setting,
    ) -> (&'static Setting, String, String) {
        let place = self.origin(setting).place_of(setting);
        let (value, place) = match (self.text(setting), setting.fallback) {
            (Some(""), _) => ("none".to_owned(), place),
            (Some(text), _) => (masked(setting, text), place),
            (None, Fallback::Derived(words)) => match settings.derived(setting) {
                Some(made) => (made, words.to_owned()),
                None => (format!("({words})"), place),
            },
            (None, Fallback::Unset(words)) => (format!("({words})"), place),
            (None, Fallback::Value(text)) => (text.to_owned(), place),
        };
        (setting, value, place)
    }

    fn check(&mut self, problems: &mut Vec<Problem>) {
        for setting in TABLE {
            let Some((text, origin)) = self.values.get(&setting.key()) else { continue };
            if setting.kind.admits(text) {
                continue;
            }
            problems.push(Problem::Malformed {
                place: origin.place_of(setting),
                text: masked(setting, text),
                expected: setting.kind.expected(),
            });
            self.malformed.push(setting);
            match setting.fallback {
                Fallback::Value(text) => {
                    self.values.insert(setting.key(), (text.to_owned(), Origin::Fallback));
                }
                Fallback::Derived(_) | Fallback::Unset(_) => {
                    self.values.remove(&setting.key());
                }
            }
        }
    }

    /// Whether a rule in these words is about a setting that was malformed: it says nothing then.
    pub(super) fn is_about_malformed(&self, words: &str) -> bool {
        let names = |setting: &&Setting| [setting.key(), setting.variable()];
        self.malformed.iter().flat_map(names).any(|name| words.contains(&format!("`{name}`")))
    }
}

/// The text as it may be shown: no secret, and no password inside a URL.
fn masked(setting: &Setting, text: &str) -> String {
    match setting.kind {
        Kind::Secret => "…".to_owned(),
        Kind::Database => masked_database(text),
        Kind::Url => match url::Url::parse(text) {
            Ok(mut url) if url.password().is_some() => {
                // INVARIANT: a URL that has a password can be given another one.
                let masked = url.set_password(Some("***"));
                if masked.is_ok() { url.to_string() } else { "…".to_owned() }
            }
            Ok(_) => text.to_owned(),
            Err(_) if text.contains('@') => "…".to_owned(),
            Err(_) => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

/// The URL of a database without its passwords: before the host, where any character may stand in it, and as an option.
pub(super) fn masked_database(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.contains('@') { "…".to_owned() } else { text.to_owned() };
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => match credentials.split_once(':') {
            Some((user, _)) => (format!("{user}:***@"), place),
            None => (format!("{credentials}@"), place),
        },
        None => (String::new(), rest),
    };
    let Some((place, options)) = place.split_once('?') else { return format!("{scheme}://{user}{place}") };
    let options: Vec<&str> = options.split('&').map(masked_option).collect();
    format!("{scheme}://{user}{place}?{}", options.join("&"))
}

fn masked_option(option: &str) -> &str {
    let names_a_password = |(name, _): (_, _)| AsRef::<str>::as_ref(&name).eq_ignore_ascii_case("password");
    if url::form_urlencoded::parse(option.as_bytes()).next().is_some_and(names_a_password) {
        "password=***"
    } else {
        option
    }
}

fn find_file(sources: &Sources) -> Option<PathBuf> {
    let named = sources.config.clone().or_else(|| {
        let named = sources.environment.iter().find(|(name, _)| name == CONFIG_VARIABLE);
        // A variable that is empty, as whoever composes environments leaves it, names nothing.
        named.filter(|(_, path)| !path.is_empty()).map(|(_, path)| path.into())
    });
    named.or_else(|| {
        let path = PathBuf::from(DEFAULT_FILE);
        path.exists().then_some(path)
    })
}

fn read_file(path: &Path, values: &mut BTreeMap<String, (String, Origin)>, problems: &mut Vec<Problem>) {
    let unreadable = |why: String| Problem::FileUnreadable { path: path.to_owned(), why };
    let text = match std::fs::metadata(path) {
        Err(error) => return problems.push(unreadable(error.to_string())),
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            return problems.push(unreadable(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        Ok(_) => match std::fs::read_to_string(path) {
            Err(error) => return problems.push(unreadable(error.to_string())),
            Ok(text) => text,
        },
    };
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let why = error.message().to_owned();
            return problems.push(Problem::FileMalformed { path: path.to_owned(), line, why });
        }
    };
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                for (name, value) in section {
                    read_key(path, &format!("{key}.{name}"), &value, values, problems);
                }
            }
            value => read_key(path, &key, &value, values, problems),
        }
    }
}

fn read_key(
    path: &Path,
    key: &str,
    value: &toml::Value,
    values: &mut BTreeMap<String, (String, Origin)>,
    problems: &mut Vec<Problem>,
) {
    let Some(setting) = find_by_key(key) else {
        let misplaced = TABLE.iter().find(|setting| setting.key() == key);
        problems.push(match misplaced {
            Some(setting) => Problem::Misplaced {
                key: key.to_owned(),
                path: path.to_owned(),
                variable: setting.variable(),
            },
            None => Problem::Unknown {
                name: key.to_owned(),
                place: path.display().to_string(),
                nearest: nearest(key, everywhere().map(Setting::key)),
            },
        });
        return;
    };
    match text_of(value) {
        Some(text) => {
            values.insert(key.to_owned(), (text, Origin::File(path.to_owned())));
        }
        None => problems.push(Problem::Malformed {
            place: Origin::File(path.to_owned()).place_of(setting),
            text: value.type_str().to_owned(),
            expected: setting.kind.expected(),
        }),
    }
}

fn everywhere() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().copied().filter(|setting| setting.reach == Reach::Everywhere)
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(entries) => {
            let entries: Option<Vec<&str>> = entries.iter().map(toml::Value::as_str).collect();
            entries.map(|entries| entries.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn read_environment(
    environment: &[(String, String)],
    values: &mut BTreeMap<String, (String, Origin)>,
    problems: &mut Vec<Problem>,
) {
    for (name, text) in environment {
        let ours = name.starts_with(ENVIRONMENT_PREFIX) && name != CONFIG_VARIABLE && name != SERVICE_PORT;
        let mut foreign = FOREIGN_PREFIXES.iter().chain(&SERVICE_PREFIXES);
        if !ours || foreign.any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        match find_by_variable(name) {
            Some(setting) => {
                values.insert(setting.key(), (text.clone(), Origin::Environment));
            }
            None => problems.push(Problem::Unknown {
                name: name.clone(),
                place: "the environment".to_owned(),
                nearest: nearest(name, TABLE.iter().map(|setting| setting.variable())),
            }),
        }
    }
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
