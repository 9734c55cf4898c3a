//! Exports of the audit log, and the offline check that a stranger makes of one.
//!
//! An export is one JSON object a line: a header, the events in order of number, and at the end the signed head with the
//! keys. [`verify`] repeats every step: commitments over canonical content, dense numbers, links, the head's signature.
//! Whoever removes, changes or swaps a line breaks a link; whoever cuts the end breaks the head; whoever signs a head
//! of their own has another key, which is why a verifier may bring the key set themselves; and whoever has the key and
//! writes another log has other links than were known before. A line is byte for byte what an export has there: what two
//! readers could read differently (a name twice, a field that nobody knows) is no line.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::io::{BufRead, Read as _};

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, Digest, SALT_BYTES, canonical, commitment_to_text, genesis, link};
use portcullis_domain::id::OrganizationId;
use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::jws::{find_kid, verify_eddsa};
use portcullis_store::Tx;
use portcullis_store::audit::{Head, StoredEvent, export_page, head, waiting_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::ServiceError;
use crate::signing::HEAD_TYP;

/// The form of an export.
pub const FORM: i64 = 1;
/// The longest line of an export, in bytes.
pub const MAX_LINE: usize = 1024 * 1024;
/// Events a page while an export is written.
const PAGE: i64 = 500;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "line")]
pub enum Line {
    /// The first line.
    Header {
        /// The form.
        form: i64,
        /// Whose log.
        organization: OrganizationId,
    },
    /// An event.
    Event(EventLine),
    /// The last line.
    Head {
        /// The number of the last event.
        number: i64,
        /// Its link, in hexadecimal digits.
        link: String,
        /// The signature (compact JWS, EdDSA over RFC 8785).
        jws: String,
        /// The organization's public keys (RFC 7517).
        keys: Vec<Value>,
    },
}

/// An event as its line says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its number, from 1, without gaps.
    pub number: i64,
    /// Its salt, in hexadecimal digits.
    pub salt: String,
    /// Its commitment, in hexadecimal digits.
    pub commitment: String,
    /// Its link, in hexadecimal digits.
    pub link: String,
    /// Its content.
    pub content: Value,
}

/// Why an export is not what was signed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum Finding {
    #[error("line {line} cannot be read: {message}")]
    Unreadable { line: usize, message: String },
    #[error("line {line}: expected {expected}")]
    Misplaced { line: usize, expected: &'static str },
    #[error(
        "line {line}: event {found} stands where event {expected} belongs: a line was removed, added or moved"
    )]
    Number { line: usize, expected: i64, found: i64 },
    #[error("line {line}: event {number} was changed: its content does not match its commitment")]
    Content { line: usize, number: i64 },
    #[error(
        "line {line}: event {number} is not linked to the event before it: a line was changed, removed or moved"
    )]
    Link { line: usize, number: i64 },
    #[error("line {line}: event {number} belongs to another organization")]
    Foreign { line: usize, number: i64 },
    #[error(
        "line {line}: event {number} has another link than the one known before: another log was written in its place{restored}"
    )]
    Forked { line: usize, number: i64, restored: Restored },
    #[error(
        "two links are known of event {number}: whoever showed them showed two logs, and one was written in the other's place"
    )]
    TwoLogs { number: i64 },
    #[error("the keys beside the head are not those of the key set that was brought: {0}")]
    Keys(String),
    #[error("the export has no head at its end: lines were cut off")]
    NoHead,
    #[error(
        "the export has no event and no head: it was taken before the log's first head was signed, which is a moment after \
         the first event, or everything was cut off; take another"
    )]
    Empty,
    #[error("the head says {head} events, the export has {found}: lines were cut off or added")]
    HeadNumber { head: i64, found: i64 },
    #[error("the head's signature does not hold: {0}")]
    Signature(String),
    #[error("the head is older than the one known before ({known} events, this export has {found})")]
    Older { known: i64, found: i64 },
    #[error("the head was signed at {at}, before {not_before}", at = at.rfc3339(), not_before = not_before.rfc3339())]
    Stale { at: Timestamp, not_before: Timestamp },
}

/// The event before a fork that says that a backup was restored, if there is one: a restore too has a log go on from earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored(pub Option<i64>);

impl From<Option<i64>> for Restored {
    fn from(number: Option<i64>) -> Self {
        Self(number)
    }
}

impl Display for Restored {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |number| {
            write!(
                f,
                "; event {number} says that a backup was restored: compare what its `detail.replaced` says with the last link \
                 that you keep"
            )
        })
    }
}

/// What a check found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose log.
    pub organization: OrganizationId,
    /// How many events.
    pub events: i64,
    /// The link of the last one: compare it with a later export.
    pub link: String,
    /// The key that signed the head.
    pub kid: String,
    /// When it did, by its own word: within a second of the last event.
    pub at: Timestamp,
}

/// What a verifier knows from elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The key set, if it was fetched before or elsewhere; else the keys in the export are believed.
    pub keys: Option<Vec<Value>>,
    /// How many events there were at the last check.
    pub events: i64,
    /// Links that were seen before, in hexadecimal digits, each with the number of its event.
    pub links: BTreeSet<(i64, String)>,
    /// The head must have been signed then or later.
    pub not_before: Option<Timestamp>,
}

impl Known {
    /// How many events there must be at least.
    fn at_least(&self) -> i64 {
        self.links.last().map_or(self.events, |(last, _)| self.events.max(*last))
    }

    /// The first number of which two links are known.
    fn contradiction(&self) -> Option<i64> {
        let pairs = self.links.iter().zip(self.links.iter().skip(1));
        let of_one = |((one, link), (other, of_other)): &(&(i64, String), &(i64, String))| {
            one == other && !link.eq_ignore_ascii_case(of_other)
        };
        pairs.into_iter().find(of_one).map(|((number, _), _)| *number)
    }

    /// Whether that event was known with another link.
    fn contradicts(&self, number: i64, linked: &str) -> bool {
        let of_it = self.links.range((number, String::new())..).take_while(|(of, _)| *of == number);
        of_it.into_iter().any(|(_, link)| !link.eq_ignore_ascii_case(linked))
    }
}

/// What an export holds, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// How many events are in it.
    pub events: i64,
    /// How many events of that log had no number yet: these are not in it.
    pub waiting: i64,
    /// When the oldest of those was written.
    pub waiting_since: Option<Timestamp>,
}

/// Writes an export line by line.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Upstream`] if `out` takes no more.
pub fn export(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    mut out: impl FnMut(&Line) -> std::io::Result<()>,
) -> Result<Exported, ServiceError> {
    let mut put = |line: &Line| out(line).map_err(|e| ServiceError::Upstream(e.to_string()));
    let (waiting, waiting_since) = waiting_of(tx, organization)?;
    put(&Line::Header { form: FORM, organization })?;
    let Some(head) = head(tx, organization)? else {
        return Ok(Exported { events: 0, waiting, waiting_since });
    };
    let mut number = 0;
    'pages: loop {
        let page = export_page(tx, organization, number, PAGE)?;
        if page.is_empty() {
            break;
        }
        for event in page {
            let event = event_line(event)?;
            number = event.number;
            put(&Line::Event(event))?;
            if number >= head.number {
                break 'pages;
            }
        }
    }
    put(&head_line(tx, organization, head)?)?;
    Ok(Exported { events: number, waiting, waiting_since })
}

fn head_line(tx: &mut Tx<'_>, organization: OrganizationId, head: Head) -> Result<Line, ServiceError> {
    let keys = portcullis_store::signing_key::list_public(tx, organization)?;
    let keys = keys.iter().filter_map(|k| serde_json::from_str(&k.public_key).ok()).collect();
    Ok(Line::Head { number: head.number, link: head.link, jws: head.jws, keys })
}

fn event_line(event: StoredEvent) -> Result<EventLine, ServiceError> {
    let missing = || {
        ServiceError::Store(portcullis_store::StoreError::Inconsistent(format!(
            "event `{}` has a number but no link",
            event.id
        )))
    };
    let content = serde_json::from_str(&event.content).map_err(|_| missing())?;
    let (Some(number), Some(commitment), Some(link)) =
        (event.number, event.commitment.clone(), event.link.clone())
    else {
        return Err(missing());
    };
    Ok(EventLine { number, salt: event.salt, commitment, link, content })
}

/// Checks an export, without any database.
///
/// # Errors
/// The first [`Finding`], with its line.
pub fn verify(mut reader: impl BufRead, known: &Known) -> Result<Verified, Finding> {
    if let Some(number) = known.contradiction() {
        return Err(Finding::TwoLogs { number });
    }
    let mut check = Check::default();
    let mut number = 0;
    let mut end = None;
    loop {
        number += 1;
        let unreadable = |message: String| Finding::Unreadable { line: number, message };
        let Some(text) = next_line(&mut reader).map_err(unreadable)? else { break };
        let line: Line = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        if serde_json::to_string(&line).ok().as_deref() != Some(text.as_str()) {
            let message =
                "it is not written as an export writes it: a field was added, or a name stands twice";
            return Err(unreadable(message.into()));
        }
        if end.is_some() {
            return Err(Finding::Misplaced { line: number, expected: "nothing after the head" });
        }
        end = check.line(number, line, known)?;
    }
    match end {
        Some(end) => check.head(&end, known),
        // Nothing says that there was more.
        None if check.organization.is_some() && check.count == 0 && known.at_least() == 0 => {
            Err(Finding::Empty)
        }
        None => Err(Finding::NoHead),
    }
}

/// The next line without its end; no more of it is read than a line may have.
fn next_line(reader: &mut impl BufRead) -> Result<Option<String>, String> {
    // With `\r\n` at its end, and one byte more to see that it is too long.
    let mut line = Vec::new();
    reader.take(MAX_LINE as u64 + 3).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
    if line.is_empty() {
        return Ok(None);
    }
    let text =
        line.strip_suffix(b"\n").map_or(line.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
    if text.len() > MAX_LINE {
        return Err(format!("longer than {MAX_LINE} bytes"));
    }
    std::str::from_utf8(text).map(|text| Some(text.to_owned())).map_err(|e| e.to_string())
}

#[derive(Default)]
struct Check {
    organization: Option<OrganizationId>,
    previous: Digest,
    count: i64,
    /// The last event that says that a backup was restored.
    restored: Option<i64>,
}

struct End {
    number: i64,
    link: String,
    jws: String,
    keys: Vec<Value>,
}

impl Check {
    fn line(&mut self, at: usize, line: Line, known: &Known) -> Result<Option<End>, Finding> {
        match (self.organization, line) {
            (None, Line::Header { form: FORM, organization }) => {
                self.organization = Some(organization);
                self.previous = genesis(organization);
                Ok(None)
            }
            (None, _) => Err(Finding::Misplaced { line: at, expected: "a header of form 1" }),
            (Some(_), Line::Header { .. }) => {
                Err(Finding::Misplaced { line: at, expected: "an event or the head" })
            }
            (Some(organization), Line::Event(event)) => {
                self.event(at, organization, &event)?;
                let EventLine { number, link: linked, .. } = &event;
                let number = *number;
                if is_restore(&event.content) {
                    self.restored = Some(number);
                }
                if known.contradicts(number, linked) {
                    return Err(Finding::Forked { line: at, number, restored: self.restored.into() });
                }
                Ok(None)
            }
            (Some(_), Line::Head { number, link, jws, keys }) => Ok(Some(End { number, link, jws, keys })),
        }
    }

    fn event(&mut self, at: usize, organization: OrganizationId, event: &EventLine) -> Result<(), Finding> {
        let EventLine { number, salt, commitment: committed, link: linked, content } = event;
        let number = *number;
        let expected = self.count + 1;
        if number != expected {
            return Err(Finding::Number { line: at, expected, found: number });
        }
        let changed = || Finding::Content { line: at, number };
        let salt = read_salt(salt).ok_or_else(|| Finding::Unreadable {
            line: at,
            message: format!("its salt is not {} hexadecimal digits in lower case", 2 * SALT_BYTES),
        })?;
        // What is committed to is the canonical form: another spelling of a number has it too.
        let text = canonical(content).map_err(|_| changed())?;
        if serde_json::to_vec(content).ok().as_ref() != Some(&text) {
            let message = "its content is not in canonical form: a number is written otherwise";
            return Err(Finding::Unreadable { line: at, message: message.into() });
        }
        let found = commitment_to_text(&salt, &text);
        if hex::encode(found) != *committed {
            return Err(changed());
        }
        if content.get("organization") != Some(&json!(organization)) {
            return Err(Finding::Foreign { line: at, number });
        }
        self.previous = link(&self.previous, number, &found);
        if hex::encode(self.previous) != *linked {
            return Err(Finding::Link { line: at, number });
        }
        self.count = number;
        Ok(())
    }

    fn head(&self, end: &End, known: &Known) -> Result<Verified, Finding> {
        let organization = self.organization.ok_or(Finding::NoHead)?;
        if end.number != self.count || end.link != hex::encode(self.previous) {
            return Err(Finding::HeadNumber { head: end.number, found: self.count });
        }
        let keys = known.keys.as_ref().unwrap_or(&end.keys);
        let bad = |e: String| Finding::Signature(e);
        let kid = find_kid(&end.jws).map_err(|e| bad(e.to_string()))?;
        let kid = kid.ok_or_else(|| bad("it names no key".into()))?;
        let key = keys.iter().filter_map(|k| PublicJwk::from_value(k).ok()).find(|k| k.thumbprint() == kid);
        let key = key.ok_or_else(|| bad(format!("key `{kid}` is not among the organization's")))?;
        let payload = verify_eddsa(&key, HEAD_TYP, &end.jws).map_err(|e| bad(e.to_string()))?;
        must_be_the_known(&end.keys, known)?;
        let signed: Value = serde_json::from_slice(&payload).map_err(|e| bad(e.to_string()))?;
        let says = |name: &str, value: Value| signed.get(name) == Some(&value);
        if !(says("organization", json!(organization))
            && says("number", json!(end.number))
            && says("link", json!(end.link)))
        {
            return Err(bad("it is over another head".into()));
        }
        let at = signed.get("at").and_then(Value::as_str).and_then(Timestamp::parse_rfc3339);
        let at = at.ok_or_else(|| bad("it does not say when".into()))?;
        if end.number < known.at_least() {
            return Err(Finding::Older { known: known.at_least(), found: end.number });
        }
        if let Some(not_before) = known.not_before.filter(|not_before| at < *not_before) {
            return Err(Finding::Stale { at, not_before });
        }
        Ok(Verified { organization, events: self.count, link: end.link.clone(), kid, at })
    }
}

/// Nobody signs the keys that stand beside the head: each has to be one of those that were brought, to the letter, else whoever
/// is handed the same file without them would believe it.
fn must_be_the_known(keys: &[Value], known: &Known) -> Result<(), Finding> {
    let Some(brought) = &known.keys else { return Ok(()) };
    let Some(key) = keys.iter().find(|key| !brought.contains(key)) else { return Ok(()) };
    let kid = key.get("kid").and_then(Value::as_str);
    Err(Finding::Keys(kid.map_or_else(
        || "one names no `kid`".to_owned(),
        |kid| format!("`{kid}` is none of them, or is written otherwise there"),
    )))
}

/// Whether an event says that a backup was restored.
fn is_restore(content: &Value) -> bool {
    content.get("action").and_then(Value::as_str) == Some(Action::BackupRestored.as_str())
}

/// A salt as an export writes it.
fn read_salt(digits: &str) -> Option<Vec<u8>> {
    hex::decode(digits).ok().filter(|salt| salt.len() == SALT_BYTES && hex::encode(salt) == digits)
}
