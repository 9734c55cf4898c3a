//! Bulk requests (RFC 7644 section 3.7): several operations in one body, which may refer to what others make.
//!
//! A reference is the text `bulkId:x` wherever an id may stand: in a path, as a member, as a manager. What makes `x` is
//! carried out first, wherever it stands in the request. Creates that refer to each other in a circle are begun without what
//! does not exist yet and completed once it does (section 3.7.1).

mod begun;

pub use begun::Begun;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::error::{ScimError, echo};
use crate::json::parse_object;
use crate::limits::{MAX_BULK_OPERATIONS, MAX_INDEXED_BYTES};
use crate::note::{DialectNote, Notes};
use crate::patch::PATCH_SCHEMA;

/// The schema of a request.
pub const BULK_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema of an answer.
pub const BULK_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// What a reference begins with.
const REFERENCE: &str = "bulkId:";

/// A bulk request.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// The operations, in the order of the request.
    pub operations: Vec<BulkOperation>,
    /// After how many refused operations the rest is left undone.
    pub fail_on_errors: Option<u64>,
    /// The liberties that the request took.
    pub notes: Vec<DialectNote>,
}

/// The method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkMethod {
    /// Create.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Delete.
    Delete,
}

impl BulkMethod {
    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOperation {
    /// What it does.
    pub method: BulkMethod,
    /// To what, below the base URL.
    pub path: String,
    /// By which name others refer to what it makes.
    pub bulk_id: Option<String>,
    /// The version that the client knows.
    pub version: Option<String>,
    data: Map<String, Value>,
}

/// What keeps an operation from being carried out, or who must come before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It can be carried out once those before it were.
    Ready(usize),
    /// It is part of a circle: it is begun without what is made later, then completed.
    Circular(usize),
}

impl Turn {
    /// Which operation it is, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Ready(index) | Self::Circular(index) => *index,
        }
    }
}

/// Parses the body of `POST /Bulk`.
///
/// # Errors
///
/// What the body breaks: JSON, bounds, the schema, an operation's form, a `bulkId` given twice.
pub fn parse_bulk(body: &[u8]) -> Result<Bulk, ScimError> {
    let mut notes = Notes::default();
    let mut is_bulk = false;
    let mut fail_on_errors = None;
    let mut operations = Value::Null;
    for (key, value) in parse_object(body)? {
        match key.to_ascii_lowercase().as_str() {
            "schemas" => {
                is_bulk = value.as_array().is_some_and(|schemas| {
                    schemas
                        .iter()
                        .filter_map(Value::as_str)
                        .any(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST_SCHEMA))
                });
            }
            "failonerrors" => fail_on_errors = parse_fail_on_errors(&value, &mut notes)?,
            "operations" => operations = value,
            _ => {}
        }
    }
    if !is_bulk {
        return Err(ScimError::NotBulk);
    }
    let Value::Array(operations) = operations else { return Err(ScimError::NoOperations) };
    if operations.is_empty() {
        return Err(ScimError::NoOperations);
    }
    if operations.len() > MAX_BULK_OPERATIONS {
        return Err(ScimError::BulkTooLarge { max: MAX_BULK_OPERATIONS });
    }
    let operations = operations
        .into_iter()
        .map(|operation| parse_operation(operation, &mut notes))
        .collect::<Result<Vec<_>, _>>()?;
    let mut named = HashSet::new();
    for id in operations.iter().filter_map(|operation| operation.bulk_id.as_deref()) {
        if !named.insert(id) {
            return Err(ScimError::DuplicateKey { key: echo(&format!("{REFERENCE}{id}")) });
        }
    }
    Ok(Bulk { operations, fail_on_errors, notes: notes.into_vec() })
}

/// How many errors end the request. None, which is no bound, is also said by what can be none: 0, and less than it.
fn parse_fail_on_errors(value: &Value, notes: &mut Notes) -> Result<Option<u64>, ScimError> {
    let invalid = || ScimError::InvalidParameter { name: "failOnErrors" };
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            notes.add(DialectNote::StringNumber("failOnErrors"));
            text.trim().parse().ok()
        }
        _ => None,
    };
    number.map(|number| u64::try_from(number).ok().filter(|max| *max > 0)).ok_or_else(invalid)
}

fn parse_operation(value: Value, notes: &mut Notes) -> Result<BulkOperation, ScimError> {
    let invalid = |part: &'static str| ScimError::InvalidBulkOperation { part };
    let Value::Object(object) = value else { return Err(ScimError::NoOperations) };
    let (mut method, mut path, mut bulk_id, mut version) = (None, None, None, None);
    let mut data = Value::Null;
    for (key, value) in object {
        match (key.to_ascii_lowercase().as_str(), value) {
            ("method", Value::String(text)) => method = Some(text.to_ascii_uppercase()),
            ("path", Value::String(text)) => path = Some(text),
            ("bulkid", Value::String(text)) if text.len() <= MAX_INDEXED_BYTES && !text.is_empty() => {
                bulk_id = Some(text);
            }
            ("version", Value::String(text)) => version = Some(text),
            ("data", value) => data = value,
            ("bulkid" | "version", Value::Null) => {}
            ("bulkid", _) => return Err(invalid("bulkId")),
            ("version", _) => return Err(invalid("version")),
            _ => {}
        }
    }
    let method = match method.as_deref() {
        Some("POST") => BulkMethod::Post,
        Some("PUT") => BulkMethod::Put,
        Some("PATCH") => BulkMethod::Patch,
        Some("DELETE") => BulkMethod::Delete,
        _ => return Err(invalid("method")),
    };
    if method == BulkMethod::Post && bulk_id.is_none() {
        return Err(invalid("bulkId"));
    }
    let path = path.filter(|path| !path.is_empty()).ok_or_else(|| invalid("path"))?;
    let data = match (data, method) {
        (Value::Object(data), _) => data,
        (Value::Null, _) => Map::new(),
        (list @ Value::Array(_), BulkMethod::Patch) => {
            notes.add(DialectNote::BareOperations);
            Map::from_iter([("schemas".to_owned(), json!([PATCH_SCHEMA])), ("Operations".to_owned(), list)])
        }
        _ => return Err(invalid("data")),
    };
    Ok(BulkOperation { method, path, bulk_id, version, data })
}

impl Bulk {
    /// The operations in the order in which they can be carried out: the order of the request, except that what makes
    /// something comes before those who refer to it. One of a circle that needs what nobody in the request makes is not begun: it
    /// would be refused, and stand all the same.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let makers: HashMap<&str, usize> = self
            .operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| operation.method == BulkMethod::Post)
            .filter_map(|(index, operation)| Some((operation.bulk_id.as_deref()?, index)))
            .collect();
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(self.operations.len());
        let mut hopeless: Vec<usize> = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let references = operation.references();
            let made: Vec<usize> =
                references.iter().filter_map(|id| makers.get(id.as_str()).copied()).collect();
            if made.len() < references.len() {
                hopeless.push(index);
            }
            needs.push(made);
        }
        let hopeless = all_that_need(hopeless, &needs);
        let mut walk = Walk { needs: &needs, states: vec![State::Untouched; needs.len()], turns: Vec::new() };
        for index in 0..needs.len() {
            walk.visit(index);
        }
        let turn =
            |turn: Turn| if hopeless.contains(&turn.index()) { Turn::Ready(turn.index()) } else { turn };
        walk.turns.into_iter().map(turn).collect()
    }
}

/// These operations, and whatever needs one of them, over however many.
fn all_that_need(these: Vec<usize>, needs: &[Vec<usize>]) -> HashSet<usize> {
    let mut needed_by: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, needed) in needs.iter().enumerate() {
        needed.iter().for_each(|needed| needed_by.entry(*needed).or_default().push(index));
    }
    let (mut all, mut rest) = (HashSet::new(), these);
    while let Some(index) = rest.pop() {
        if all.insert(index) {
            rest.extend(needed_by.get(&index).into_iter().flatten());
        }
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Untouched,
    /// On the path that is walked, so deep.
    Open(usize),
    Done,
}

/// A walk along the references, each operation after those that it needs.
struct Walk<'n> {
    needs: &'n [Vec<usize>],
    states: Vec<State>,
    turns: Vec<Turn>,
}

/// An operation on the path that is walked.
struct Visit {
    operation: usize,
    /// Which of those that it needs comes next.
    next: usize,
    /// The least depth on the path that it, or what it led to, refers back to.
    back_to: usize,
}

impl Walk<'_> {
    /// Visits an operation and what it needs, in a step for each reference. A list of its own takes the place of
    /// recursion, whose depth a client would decide.
    fn visit(&mut self, index: usize) {
        let mut path: Vec<Visit> = Vec::new();
        self.open(index, &mut path);
        while let Some(visit) = path.last_mut() {
            let needed = self.needs.get(visit.operation).and_then(|needs| needs.get(visit.next)).copied();
            visit.next += 1;
            match needed.map(|needed| (needed, self.states.get(needed))) {
                Some((_, Some(State::Open(depth)))) => visit.back_to = visit.back_to.min(*depth),
                Some((needed, Some(State::Untouched))) => self.open(needed, &mut path),
                Some((_, Some(State::Done) | None)) => {}
                None => self.leave(&mut path),
            }
        }
    }

    fn open(&mut self, operation: usize, path: &mut Vec<Visit>) {
        if let Some(state @ State::Untouched) = self.states.get_mut(operation) {
            *state = State::Open(path.len());
            path.push(Visit { operation, next: 0, back_to: usize::MAX });
        }
    }

    /// The last of the path has everything that it needs, or is part of a circle with those from `back_to` on.
    fn leave(&mut self, path: &mut Vec<Visit>) {
        let Some(Visit { operation, back_to, .. }) = path.pop() else { return };
        if let Some(state) = self.states.get_mut(operation) {
            *state = State::Done;
        }
        let is_circular = back_to <= path.len();
        self.turns.push(if is_circular { Turn::Circular(operation) } else { Turn::Ready(operation) });
        if let Some(before) = path.last_mut() {
            before.back_to = before.back_to.min(back_to);
        }
    }
}

impl BulkOperation {
    /// The names that it refers to, each once.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect_in_text(&self.path, &mut names);
        self.data.values().for_each(|value| collect(value, &mut names));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Those of them of which nothing was made.
    #[must_use]
    pub fn lacking(&self, ids: &HashMap<String, String>) -> Vec<String> {
        let mut names = self.references();
        names.retain(|name| !ids.contains_key(name));
        names
    }

    /// The path and body, with each reference replaced by the id that it stands for.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnknownBulkId`] for one that stands for nothing.
    pub fn resolved(&self, ids: &HashMap<String, String>) -> Result<(String, Vec<u8>), ScimError> {
        if let Some(unknown) = self.references().iter().find(|name| !ids.contains_key(*name)) {
            return Err(ScimError::UnknownBulkId { id: echo(unknown) });
        }
        Ok(self.replaced(self.data.clone(), ids))
    }

    /// As [`Self::resolved`], without what refers to anything that is not made yet: a create in a circle.
    ///
    /// # Errors
    ///
    /// [`ScimError::CircularBulk`] if the path itself needs it.
    pub fn begun(&self, ids: &HashMap<String, String>) -> Result<(String, Vec<u8>), ScimError> {
        if !is_known(&self.path, ids) {
            return Err(ScimError::CircularBulk);
        }
        let data = self.data.iter().filter_map(|(key, value)| Some((key.clone(), known(value, ids)?)));
        Ok(self.replaced(data.collect(), ids))
    }

    fn replaced(&self, data: Map<String, Value>, ids: &HashMap<String, String>) -> (String, Vec<u8>) {
        let path = replaced(&self.path, ids);
        if data.is_empty() {
            return (path, Vec::new());
        }
        let mut data = Value::Object(data);
        replace(&mut data, ids);
        (path, data.to_string().into_bytes())
    }
}

/// Whether everything that a text refers to is made.
fn is_known(text: &str, ids: &HashMap<String, String>) -> bool {
    pieces(text).filter_map(|piece| piece.name).all(|name| ids.contains_key(name))
}

/// A value without what refers to anything that is not made: a member of a list goes with all that is said of it.
fn known(value: &Value, ids: &HashMap<String, String>) -> Option<Value> {
    match value {
        Value::String(text) => is_known(text, ids).then(|| value.clone()),
        Value::Array(values) => Some(values.iter().filter_map(|value| known(value, ids)).collect()),
        Value::Object(object) => {
            let is_whole = |value: &Value| value.as_str().is_none_or(|text| is_known(text, ids));
            let kept = || object.iter().filter_map(|(key, value)| Some((key.clone(), known(value, ids)?)));
            object.values().all(is_whole).then(|| Value::Object(kept().collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
    }
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => collect_in_text(text, names),
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        Value::Object(object) => object.values().for_each(|value| collect(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn collect_in_text(text: &str, names: &mut Vec<String>) {
    names.extend(pieces(text).filter_map(|piece| piece.name).map(str::to_owned));
}

fn replace(value: &mut Value, ids: &HashMap<String, String>) {
    match value {
        Value::String(text) if text.contains(REFERENCE) => *text = replaced(text, ids),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, ids)),
        Value::Object(object) => object.values_mut().for_each(|value| replace(value, ids)),
        _ => {}
    }
}

fn replaced(text: &str, ids: &HashMap<String, String>) -> String {
    pieces(text).fold(String::with_capacity(text.len()), |mut whole, piece| {
        whole.push_str(piece.before);
        if let Some(name) = piece.name {
            whole.push_str(ids.get(name).map_or(name, String::as_str));
        }
        whole
    })
}

/// Text, and the name of the reference that follows it.
struct Piece<'t> {
    before: &'t str,
    name: Option<&'t str>,
}

/// Cuts a text at its references. One begins the text or follows what may stand before an id (`/` in a path, a
/// quotation mark in a filter), so that a word that only contains `bulkId:` stays what it is.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let begins = |at: &usize| {
            text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(['/', '"']))
        };
        let Some(at) = text.match_indices(REFERENCE).map(|(at, _)| at).find(begins) else {
            rest = None;
            return Some(Piece { before: text, name: None });
        };
        let (before, reference) = text.split_at_checked(at)?;
        let name = reference.strip_prefix(REFERENCE)?;
        let end = name.find(['/', '"', '?']).unwrap_or(name.len());
        let (name, after) = name.split_at_checked(end)?;
        rest = (!after.is_empty()).then_some(after);
        Some(Piece { before, name: Some(name) })
    })
}

/// What came of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOutcome {
    /// The HTTP status.
    pub status: u16,
    /// Where the resource is; none for a create that was refused.
    pub location: Option<String>,
    /// The version of the resource.
    pub version: Option<String>,
    /// The error, if it was refused.
    pub response: Option<Value>,
}

/// One entry of the answer.
#[must_use]
pub fn render_outcome(operation: &BulkOperation, outcome: &BulkOutcome) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            entry.insert(key.to_owned(), value);
        }
    };
    put("method", Some(operation.method.as_str().into()));
    put("bulkId", operation.bulk_id.as_deref().map(Value::from));
    put("location", outcome.location.as_deref().map(Value::from));
    put("version", outcome.version.as_deref().map(Value::from));
    put("status", Some(outcome.status.to_string().into()));
    put("response", outcome.response.clone());
    Value::Object(entry)
}

/// The answer: an entry for each operation that was tried, in the order of the request.
#[must_use]
pub fn render_bulk(entries: Vec<Value>) -> Value {
    json!({ "schemas": [BULK_RESPONSE_SCHEMA], "Operations": entries })
}
