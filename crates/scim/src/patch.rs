//! PATCH (RFC 7644 section 3.5.2): reading the operations, and applying them to a user.
//!
//! A user is small and is edited as a whole, on a copy, so that a refused operation leaves nothing behind. A group
//! may have fifty thousand members, so its operations become changes that need no member list: see `group`.

mod group;

pub use group::{GroupChange, parse_group_patch, parse_group_patch_noting};

use serde_json::{Map, Value};

use crate::canonical::attribute_value;
use crate::edit::{Verb, assign, merge, remove};
use crate::error::{ScimError, echo};
use crate::json::{Aside, parse_object};
use crate::limits::{MAX_EDIT_WORK_BYTES, MAX_OPERATIONS, MAX_USER_OPERATIONS};
use crate::note::{DialectNote, Notes};
use crate::path::PatchPath;
use crate::schema::{ResourceType, find_attribute};
use crate::target::{Target, find_target};
use crate::urn::{is_core, note_spelling};
use crate::user::User;
use crate::work::Work;

/// The schema of a PATCH body.
pub const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The operations of one PATCH, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
    /// Lists of members that are not in the operations.
    aside: Aside,
    notes: Vec<DialectNote>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
struct Operation {
    op: Op,
    path: Option<Path>,
    value: Option<Value>,
}

/// The path of an operation, with its text for refusals.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    text: String,
    parsed: PatchPath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Assign(Verb),
    Remove,
}

/// Parses the body of a PATCH, without looking at what resource it is for.
///
/// # Errors
///
/// What the body breaks: JSON, bounds, the PATCH schema, an operation's name, a path's grammar.
pub fn parse_patch(body: &[u8]) -> Result<Patch, ScimError> {
    parse_patch_noting(body, &mut Notes::default())
}

/// The same, with what of it deviates; of a body that is refused, of what was read before.
///
/// # Errors
///
/// As [`parse_patch`].
pub fn parse_patch_noting(body: &[u8], notes: &mut Notes) -> Result<Patch, ScimError> {
    read(parse_object(body)?, Aside::default(), notes)
}

fn read(object: Map<String, Value>, aside: Aside, notes: &mut Notes) -> Result<Patch, ScimError> {
    let mut schemas = Value::Null;
    let mut operations = Value::Null;
    for (key, value) in object {
        if key.eq_ignore_ascii_case("schemas") {
            schemas = value;
        } else if key.eq_ignore_ascii_case("Operations") {
            operations = value;
        }
    }
    let is_patch = schemas.as_array().is_some_and(|schemas| {
        schemas.iter().filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(PATCH_SCHEMA))
    });
    if !is_patch {
        return Err(ScimError::NotPatch);
    }
    let Value::Array(operations) = operations else { return Err(ScimError::NoOperations) };
    if operations.is_empty() {
        return Err(ScimError::NoOperations);
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(ScimError::TooManyOperations { max: MAX_OPERATIONS });
    }
    let operations = operations
        .into_iter()
        .map(|operation| parse_operation(operation, notes))
        .collect::<Result<_, _>>()?;
    Ok(Patch { operations, aside, notes: notes.as_slice().to_vec() })
}

fn parse_operation(operation: Value, notes: &mut Notes) -> Result<Operation, ScimError> {
    let Value::Object(operation) = operation else { return Err(ScimError::NoOperations) };
    let mut op = None;
    let mut path = None;
    let mut value = None;
    for (key, given) in operation {
        match key.to_ascii_lowercase().as_str() {
            "op" => op = Some(parse_op(&given, notes)?),
            "path" => path = parse_path(&given, notes)?,
            "value" => value = Some(given),
            _ => notes.unknown_attribute(&key),
        }
    }
    let op = op.ok_or(ScimError::UnknownOp)?;
    match (op, &path, &value) {
        (Op::Remove, None, _) => return Err(ScimError::RemoveWithoutPath),
        (Op::Assign(_), None, Some(Value::Object(_))) | (Op::Assign(_), Some(_), Some(_)) => {}
        (Op::Assign(_), _, _) => return Err(ScimError::MissingValue),
        (Op::Remove, Some(_), _) => {}
    }
    Ok(Operation { op, path, value })
}

fn parse_op(value: &Value, notes: &mut Notes) -> Result<Op, ScimError> {
    let text = value.as_str().ok_or(ScimError::UnknownOp)?;
    let op = match text.to_ascii_lowercase().as_str() {
        "add" => Op::Assign(Verb::Add),
        "replace" => Op::Assign(Verb::Replace),
        "remove" => Op::Remove,
        _ => return Err(ScimError::UnknownOp),
    };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        notes.add(DialectNote::CapitalisedOp);
    }
    Ok(op)
}

/// A path, or none where it is null or empty.
fn parse_path(value: &Value, notes: &mut Notes) -> Result<Option<Path>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => {
            notes.add(DialectNote::EmptyPath);
            Ok(None)
        }
        Value::String(text) => {
            let parsed = PatchPath::parse_noting(text, notes)?;
            note_spelling(text, notes);
            Ok(Some(Path { text: echo(text), parsed }))
        }
        other => Err(ScimError::InvalidPath { path: echo(&other.to_string()) }),
    }
}

impl Patch {
    /// The user that the operations make of `user`, or nothing of it: a refusal of one refuses all.
    ///
    /// # Errors
    ///
    /// The refusal of the first operation that cannot be carried out, or of the user that would result;
    /// [`ScimError::TooMuchWork`] beyond [`MAX_EDIT_WORK_BYTES`].
    pub fn apply_to_user(&self, user: &User) -> Result<(User, Vec<DialectNote>), ScimError> {
        self.apply_within(user, &Work::within(MAX_EDIT_WORK_BYTES))
    }

    /// Whether an operation says that the user is not active, in whatever spelling: told by its names and values alone,
    /// without applying anything.
    #[must_use]
    pub fn says_inactive(&self) -> bool {
        self.operations.iter().filter(|operation| matches!(operation.op, Op::Assign(_))).any(|operation| {
            match (&operation.path, &operation.value) {
                (_, None) => false,
                (Some(path), Some(value)) => says_inactive(&path.parsed, value),
                (None, Some(value)) => has_inactive(value),
            }
        })
    }

    /// The same within another bound, for whoever wants to know what it costs.
    ///
    /// # Errors
    ///
    /// As [`Patch::apply_to_user`].
    pub fn apply_within(&self, user: &User, work: &Work) -> Result<(User, Vec<DialectNote>), ScimError> {
        if self.operations.len() > MAX_USER_OPERATIONS {
            return Err(ScimError::TooManyOperations { max: MAX_USER_OPERATIONS });
        }
        let mut attributes = user.attributes().clone();
        let mut notes = Notes::from(self.notes.clone());
        for operation in &self.operations {
            apply(&mut attributes, operation, &mut notes, work)?;
        }
        let user = User::from_stored(attributes);
        user.check()?;
        Ok((user, notes.into_vec()))
    }
}

/// Whether a path and its value say that a user is not active.
fn says_inactive(path: &PatchPath, value: &Value) -> bool {
    match path {
        PatchPath::Schema(urn) => is_core(urn, ResourceType::User) && has_inactive(value),
        PatchPath::Attribute { path, filter } => {
            let located = find_attribute(ResourceType::User, path.urn.as_deref(), &path.name);
            let active = located.map(|located| located.attribute).filter(|found| found.name == "active");
            active.filter(|_| filter.is_none() && path.sub_attribute.is_none()).is_some_and(|active| {
                let said = attribute_value(active, value.clone(), &mut Notes::default());
                said == Ok(Some(Value::Bool(false)))
            })
        }
    }
}

/// The same of the keys of an object.
fn has_inactive(value: &Value) -> bool {
    let is_inactive =
        |(key, value): (&String, &Value)| PatchPath::parse(key).is_ok_and(|path| says_inactive(&path, value));
    value.as_object().is_some_and(|object| object.iter().any(is_inactive))
}

fn apply(
    attributes: &mut Map<String, Value>,
    operation: &Operation,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    work.check()?;
    let value = operation.value.clone();
    let Some(path) = &operation.path else {
        return match (operation.op, value) {
            (Op::Assign(verb), Some(Value::Object(object))) => merge(attributes, object, verb, notes, work),
            (Op::Assign(_), _) => Err(ScimError::MissingValue),
            (Op::Remove, _) => Err(ScimError::RemoveWithoutPath),
        };
    };
    let has_object = value.as_ref().is_some_and(Value::is_object);
    let target = find_target(&path.parsed, has_object, attributes, notes, work)?;
    match &target {
        Target::Unknown => return Err(ScimError::UnknownAttribute { path: path.text.clone() }),
        // What schemas a user follows is read from its attributes.
        Target::Attribute(selection) if selection.attribute.name == "schemas" => return Ok(()),
        Target::Attribute(selection) => {
            if let Some(name) = selection.read_only() {
                return Err(ScimError::ReadOnly { attribute: name.to_owned() });
            }
        }
        _ => {}
    }
    match (operation.op, value) {
        (Op::Assign(verb), Some(value)) => assign(attributes, target, value, verb, notes, work),
        (Op::Assign(_), None) => Err(ScimError::MissingValue),
        (Op::Remove, value) => remove(attributes, target, value, notes, work),
    }
}
