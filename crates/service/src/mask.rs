//! Traces without secrets (invariant I7): what a name calls secret, and whatever looks like a secret of ours.
//!
//! A client chooses the spelling, so spellings are read liberally here and a doubt is decided against showing: a trace that
//! says too little costs an administrator a question, one that says too much costs a secret.

use portcullis_domain::token::TokenKind;
use serde_json::{Map, Value};

/// What a masked value is replaced by.
pub const MASK: &str = "(masked)";

/// Parts of names, in small letters and digits only, whose values are never kept.
const SECRET_PARTS: [&str; 20] = [
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "authorization",
    "assertion",
    "cookie",
    "credential",
    "bearer",
    "jwt",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "sharedkey",
    "encryptionkey",
];
/// Names that are secret where they stand alone; inside of other words they are not.
const SECRET_WORDS: [&str; 5] = ["pass", "pw", "pin", "otp", "sig"];
/// Keys that say what the `value` beside them is.
const NAMING_KEYS: [&str; 6] = ["path", "name", "key", "attribute", "attributename", "type"];
/// What of a PATCH operation is shown although its path names a secret.
const OPERATION_KEYS: [&str; 4] = ["op", "path", "method", "schemas"];
/// What every secret of ours begins with.
const OURS: &str = "pc_";
/// The kind of the one secret of ours that is no token.
const ROOT: &str = "root";
/// Characters behind `pc_<kind>_` from which a text counts as a secret of ours, whole or cut.
const MIN_SECRET_CHARS: usize = 16;
/// How much of a name that the caller chose is said back, in characters: whoever mistyped one knows it again.
const MAX_SHOWN: usize = 64;

/// A JSON value without secrets: the value of every key, of every PATCH path and of every pair of name and value that
/// names one is replaced, and so is a filter or path that compares one.
#[must_use]
pub fn masked(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(masked_object(object)),
        Value::Array(values) => Value::Array(values.into_iter().map(masked).collect()),
        Value::String(text) => Value::String(masked_inner(text)),
        other => other,
    }
}

fn masked_object(object: Map<String, Value>) -> Map<String, Value> {
    let named = |key: &str| object.iter().any(|(k, v)| is_called(k, key) && names_secret(v));
    let (path_is_secret, pair_is_secret) = (named("path"), NAMING_KEYS.into_iter().any(named));
    let masked_entry = |(key, value): (String, Value)| {
        let hide = is_secret(&key)
            || (path_is_secret && !OPERATION_KEYS.iter().any(|shown| is_called(&key, shown)))
            || (pair_is_secret && is_called(&key, "value"));
        let shown = match value {
            _ if hide => Value::from(MASK),
            Value::String(text) if is_called(&key, "path") || is_called(&key, "filter") => {
                Value::String(expression(&text))
            }
            value => masked(value),
        };
        (key, shown)
    };
    object.into_iter().map(masked_entry).collect()
}

/// A text that is JSON itself, as some clients send values, is masked like JSON.
fn masked_inner(text: String) -> String {
    if !text.trim_start().starts_with(['{', '[']) {
        return text;
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(inner) if masked(inner.clone()) != inner => MASK.to_owned(),
        _ => text,
    }
}

/// A filter, a path or a part of an address. One that does more than name a secret may hold one, and is replaced whole.
#[must_use]
pub fn expression(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | '$' | ',');
    if is_secret(&outside_quotes(text)) && !text.chars().all(is_name) {
        return MASK.to_owned();
    }
    text.to_owned()
}

/// The message of a refusal, whose back-ticks hold what the client wrote.
#[must_use]
pub fn message(text: &str) -> String {
    let (Some(first), Some(last)) = (text.find('`'), text.rfind('`')) else { return text.to_owned() };
    let (before, rest) = text.split_at(first);
    let (echo, after) = rest.split_at(last - first);
    let echo = echo.strip_prefix('`').unwrap_or(echo);
    format!("{before}`{}{after}", expression(echo))
}

/// Everything of a value that looks like a secret of ours is cut down to what kind of secret it is.
pub(crate) fn without_ours(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let clean = |(key, value): (String, Value)| (cut_down(key), without_ours(value));
            Value::Object(object.into_iter().map(clean).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(without_ours).collect()),
        Value::String(text) => Value::String(cut_down(text)),
        other => other,
    }
}

/// As `text_without_ours`; nearly no text has anything in it that is worth a closer look.
fn cut_down(text: String) -> String {
    let begins = |some: &[u8]| some.eq_ignore_ascii_case(OURS.as_bytes());
    if text.as_bytes().windows(OURS.len()).any(begins) { text_without_ours(&text) } else { text }
}

/// A name that a caller chose, as far as an answer may say it back: without secrets of ours, and no more than anybody reads.
#[must_use]
pub fn shown(name: &str) -> String {
    let plain = text_without_ours(name);
    match plain.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", plain.get(..end).unwrap_or_default()),
        None => plain,
    }
}

/// As `without_ours`, of a text.
#[must_use]
pub fn text_without_ours(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for (at, _) in lower.match_indices(OURS) {
        let Some(shown) = lower.get(at..).and_then(kind_of_ours).map(|bytes| at + bytes) else { continue };
        let rest = text.get(shown..).unwrap_or("");
        let hidden = rest.find(|c: char| !is_of_secret(c)).unwrap_or(rest.len());
        if at >= done && hidden >= MIN_SECRET_CHARS {
            out.push_str(text.get(done..shown).unwrap_or(""));
            out.push_str(MASK);
            done = shown + hidden;
        }
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

/// The bytes of `pc_<kind>_` where a text begins with it.
fn kind_of_ours(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(OURS)?;
    let kinds = TokenKind::ALL.into_iter().map(TokenKind::prefix).chain([ROOT]);
    let of = |kind: &'static str| rest.strip_prefix(kind)?.strip_prefix('_').map(str::len);
    kinds.filter_map(of).min().map(|left| text.len() - left)
}

const fn is_of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn names_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => is_secret(&outside_quotes(text)),
        other => is_secret(&other.to_string()),
    }
}

/// Whether a name is that of a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let plain: Vec<u8> = letters(name).collect();
    let has = |part: &&str| plain.windows(part.len()).any(|some| some == part.as_bytes());
    SECRET_PARTS.iter().any(has)
        || name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| SECRET_WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret)))
}

/// The letters and digits of a name, small: what is left of it however a client spells it.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase())
}

fn is_called(name: &str, plain: &str) -> bool {
    letters(name).eq(plain.bytes())
}

/// A text without its quoted literals; whole, if a quote is left open.
fn outside_quotes(text: &str) -> String {
    let (mut outside, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            c => outside.push(c),
        }
    }
    if quoted { text.to_owned() } else { outside }
}
