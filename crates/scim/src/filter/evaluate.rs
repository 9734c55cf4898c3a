//! The evaluator: does a resource, or one value of a multi-valued attribute, fulfil a filter?
//!
//! Rules where the standard is silent: an attribute that does not exist has no value; `ne` is the opposite of `eq`,
//! so it is true for an attribute without a value; `eq null` is the opposite of `pr`; empty text is no value. On a
//! multi-valued attribute a comparison is true if it is for any value, except `ne`, which then is true if no value is
//! equal. Where case does not matter, blanks around a compared value do not either, as with names that must differ.
//! Attributes of custom extensions have no definition: they are compared by what they are, text without case.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::{Filter, Literal, Operator};
use crate::error::{ScimError, echo};
use crate::fold::fold;
use crate::note::{DialectNote, Notes};
use crate::path::AttributePath;
use crate::schema::{Attribute, AttributeType, Case, ResourceType, find_attribute};
use crate::work::{LOOK, Work};

mod custom;

/// What looking at one key of an object costs.
const KEY: usize = 4;

/// What the names of a filter mean.
#[derive(Clone, Copy)]
enum Scope<'a> {
    /// Attributes of a resource.
    Resource(ResourceType, &'a Map<String, Value>),
    /// Sub-attributes of one value.
    Value(&'static Attribute, &'a Map<String, Value>),
    /// Parts of a value that no schema defines; one that has none is its own `value`.
    Custom(&'a Value),
}

/// One evaluation: what it costs, and the texts that it has folded, so that none is folded for each term anew.
struct Evaluation<'w> {
    work: &'w Work,
    /// None where a text is compared but once.
    folded: Option<RefCell<Folded>>,
}

/// Texts in lower case by their place and length: filter and resource stay where they are while they are evaluated.
type Folded = HashMap<(usize, usize), Rc<str>>;

impl<'w> Evaluation<'w> {
    fn of(filter: &Filter, work: &'w Work) -> Self {
        let folded = (!matches!(filter, Filter::Compare { .. })).then(RefCell::default);
        Self { work, folded }
    }

    /// Counts what is looked at next. False: it is too much, and nothing is looked at any more.
    fn may(&self, bytes: usize) -> bool {
        self.work.spend(bytes).is_ok()
    }

    /// The text without case.
    fn lower(&self, text: &str) -> Rc<str> {
        let Some(folded) = &self.folded else { return fold(text).into() };
        let place = (text.as_ptr().addr(), text.len());
        Rc::clone(folded.borrow_mut().entry(place).or_insert_with(|| fold(text).into()))
    }
}

impl Filter {
    /// Whether a resource in canonical form fulfils the filter, whatever that costs.
    #[must_use]
    pub fn matches(&self, resource_type: ResourceType, resource: &Map<String, Value>) -> bool {
        self.matches_within(resource_type, resource, &Work::within(usize::MAX)).unwrap_or(false)
    }

    /// Whether a resource in canonical form fulfils the filter.
    ///
    /// # Errors
    ///
    /// [`ScimError::TooMuchWork`].
    pub fn matches_within(
        &self,
        resource_type: ResourceType,
        resource: &Map<String, Value>,
        work: &Work,
    ) -> Result<bool, ScimError> {
        let is_match = Evaluation::of(self, work).evaluate(self, Scope::Resource(resource_type, resource));
        work.check().map(|()| is_match)
    }

    /// Whether one value of the multi-valued `attribute` fulfils the filter, whose names are sub-attributes. False, too,
    /// where the work is too much.
    pub(crate) fn selects(
        &self,
        attribute: &'static Attribute,
        value: &Map<String, Value>,
        work: &Work,
    ) -> bool {
        Evaluation::of(self, work).evaluate(self, Scope::Value(attribute, value)) && work.check().is_ok()
    }

    /// The same of a value that no schema defines.
    pub(crate) fn selects_custom(&self, value: &Value, work: &Work) -> bool {
        Evaluation::of(self, work).evaluate(self, Scope::Custom(value)) && work.check().is_ok()
    }

    /// Refuses comparisons that the type of an attribute does not have: order of booleans and binaries, parts of
    /// anything but text, a complex attribute without a `value`, and with what is no value of the type. A name that is
    /// unknown has no type.
    ///
    /// # Errors
    ///
    /// [`ScimError::FilterType`].
    pub fn check_types(&self, resource_type: ResourceType) -> Result<(), ScimError> {
        check(self, &|path| defined(resource_type, path))
    }

    /// The same for a filter over the values of one attribute.
    pub(crate) fn check_value_types(&self, attribute: &'static Attribute) -> Result<(), ScimError> {
        check(self, &|path| attribute.sub_attribute(&path.name))
    }

    /// What the type of an attribute does not have and was understood: booleans that came as strings.
    #[must_use]
    pub fn type_notes(&self, resource_type: ResourceType) -> Vec<DialectNote> {
        let mut notes = Notes::default();
        note(self, &|path| defined(resource_type, path), &mut notes);
        notes.into_vec()
    }

    /// The same for a filter over the values of one attribute.
    pub(crate) fn note_values(&self, attribute: &'static Attribute, notes: &mut Notes) {
        note(self, &|path| attribute.sub_attribute(&path.name), notes);
    }
}

fn defined(resource_type: ResourceType, path: &AttributePath) -> Option<&'static Attribute> {
    find_attribute(resource_type, path.urn.as_deref(), &path.name).map(|located| located.attribute)
}

fn note(filter: &Filter, find: &dyn Fn(&AttributePath) -> Option<&'static Attribute>, notes: &mut Notes) {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|inner| note(inner, find, notes));
        }
        Filter::Not(inner) => note(inner, find, notes),
        Filter::ValuePath { path, filter: inner } => {
            if let Some(attribute) = find(path) {
                note(inner, &|path| attribute.sub_attribute(&path.name), notes);
            }
        }
        Filter::Compare { path, literal: literal @ Literal::Text(_), .. } => {
            let named = find(path).map(|attribute| leaf(attribute, path.sub_attribute.as_deref()));
            if let Some(Leaf::Found(leaf)) = named
                && leaf.kind == AttributeType::Boolean
                && literal.as_boolean().is_some()
            {
                notes.add(DialectNote::StringBoolean(leaf.name));
            }
        }
        Filter::Compare { .. } | Filter::Present(_) => {}
    }
}

fn check(
    filter: &Filter,
    find: &dyn Fn(&AttributePath) -> Option<&'static Attribute>,
) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().try_for_each(|inner| check(inner, find)),
        Filter::Not(inner) => check(inner, find),
        Filter::Present(_) => Ok(()),
        Filter::ValuePath { path, filter: inner } => match find(path) {
            None => Ok(()),
            Some(attribute) if attribute.is_complex() => {
                check(inner, &|path| attribute.sub_attribute(&path.name))
            }
            Some(_) => Err(ScimError::FilterType { attribute: echo(&path.to_string()) }),
        },
        Filter::Compare { path, operator, literal } => {
            let Some(attribute) = find(path) else { return Ok(()) };
            match leaf(attribute, path.sub_attribute.as_deref()) {
                Leaf::Unknown => Ok(()),
                Leaf::Found(leaf) if allows(leaf.kind, *operator) && takes(leaf.kind, *operator, literal) => {
                    Ok(())
                }
                Leaf::Found(_) | Leaf::Composite => {
                    Err(ScimError::FilterType { attribute: echo(&path.to_string()) })
                }
            }
        }
    }
}

fn allows(kind: AttributeType, operator: Operator) -> bool {
    match operator {
        Operator::Eq | Operator::Ne => kind != AttributeType::Complex,
        Operator::Co | Operator::Sw | Operator::Ew => {
            matches!(kind, AttributeType::String | AttributeType::Reference)
        }
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => {
            matches!(kind, AttributeType::String | AttributeType::Reference | AttributeType::DateTime)
        }
    }
}

/// Whether a type has such a value. What it has not equals nothing, and a filter that says `ne` or `not` of it would
/// find everybody.
fn takes(kind: AttributeType, operator: Operator, literal: &Literal) -> bool {
    match (kind, literal) {
        // That there is no value can be asked, and nothing else of it.
        (_, Literal::Null) => matches!(operator, Operator::Eq | Operator::Ne),
        (AttributeType::Boolean, _) => literal.as_boolean().is_some(),
        (AttributeType::DateTime, _) => literal.as_text().and_then(instant).is_some(),
        _ => true,
    }
}

/// An instant (RFC 7643 section 2.3.5). One without a zone is of UTC; a day alone is none.
fn instant(text: &str) -> Option<Timestamp> {
    let without_zone = || {
        let time = text.parse::<DateTime>().ok().filter(|_| text.contains(['T', 't']) && !text.contains('['));
        time?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    text.parse().ok().or_else(without_zone)
}

enum Leaf {
    Found(&'static Attribute),
    /// A complex attribute that has no `value` to stand for it.
    Composite,
    Unknown,
}

/// The definition that a comparison works on. A complex attribute stands for its `value`.
fn leaf(attribute: &'static Attribute, sub_attribute: Option<&str>) -> Leaf {
    match (attribute.is_complex(), sub_attribute) {
        (true, Some(name)) => attribute.sub_attribute(name).map_or(Leaf::Unknown, Leaf::Found),
        (true, None) => attribute.sub_attribute("value").map_or(Leaf::Composite, Leaf::Found),
        (false, None) => Leaf::Found(attribute),
        (false, Some(_)) => Leaf::Unknown,
    }
}

impl Evaluation<'_> {
    fn evaluate(&self, filter: &Filter, scope: Scope<'_>) -> bool {
        match filter {
            Filter::And(filters) => filters.iter().all(|inner| self.evaluate(inner, scope)),
            Filter::Or(filters) => filters.iter().any(|inner| self.evaluate(inner, scope)),
            Filter::Not(inner) => !self.evaluate(inner, scope),
            Filter::Present(path) => self.is_present(path, scope),
            Filter::Compare { path, operator, literal } => self.compare(path, *operator, literal, scope),
            Filter::ValuePath { path, filter: inner } => {
                if let Some(values) = self.custom_values(path, scope) {
                    return values.into_iter().any(|value| self.evaluate(inner, Scope::Custom(value)));
                }
                find_values(path, scope).is_some_and(|(attribute, values)| {
                    objects(values).any(|value| self.evaluate(inner, Scope::Value(attribute, value)))
                })
            }
        }
    }

    fn is_present(&self, path: &AttributePath, scope: Scope<'_>) -> bool {
        if !self.may(LOOK) {
            return false;
        }
        if let Some(extension) = self.find_extension(path, scope) {
            return self.is_assigned(extension);
        }
        if let Some(values) = self.custom_values(path, scope) {
            return values.into_iter().any(|value| self.is_assigned(value));
        }
        let Some((_, values)) = find_values(path, scope) else { return false };
        values.into_iter().any(|value| match &path.sub_attribute {
            Some(name) => self.find_key(value, name).is_some_and(|value| self.is_assigned(value)),
            None => self.is_assigned(value),
        })
    }

    fn compare(&self, path: &AttributePath, operator: Operator, literal: &Literal, scope: Scope<'_>) -> bool {
        match (operator, literal) {
            (Operator::Eq, Literal::Null) => return !self.is_present(path, scope),
            (Operator::Ne, Literal::Null) => return self.is_present(path, scope),
            (Operator::Ne, _) => return !self.compare(path, Operator::Eq, literal, scope),
            _ if !self.may(LOOK) => return false,
            _ => {}
        }
        if let Some(values) = self.custom_values(path, scope) {
            return values.into_iter().any(|value| self.compare_custom(operator, value, literal));
        }
        let Some((attribute, values)) = find_values(path, scope) else { return false };
        let Leaf::Found(leaf) = leaf(attribute, path.sub_attribute.as_deref()) else { return false };
        values.into_iter().any(|value| {
            let value = if attribute.is_complex() { self.find_key(value, leaf.name) } else { Some(value) };
            value.is_some_and(|value| {
                self.is_assigned(value) && self.compare_value(leaf, operator, value, literal)
            })
        })
    }

    fn find_key<'a>(&self, value: &'a Value, name: &str) -> Option<&'a Value> {
        let object = value.as_object()?;
        object.get(name).or_else(|| self.find(object, name))
    }

    /// The value of a key in whatever case, which takes looking at each.
    fn find<'a>(&self, object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
        if !self.may(object.len().saturating_mul(KEY)) {
            return None;
        }
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn is_assigned(&self, value: &Value) -> bool {
        if !self.may(1) {
            return false;
        }
        match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(values) => values.iter().any(|value| self.is_assigned(value)),
            Value::Object(object) => object.values().any(|value| self.is_assigned(value)),
            Value::Bool(_) | Value::Number(_) => true,
        }
    }

    fn compare_value(&self, leaf: &Attribute, operator: Operator, value: &Value, literal: &Literal) -> bool {
        match (leaf.kind, value) {
            (AttributeType::Boolean, Value::Bool(value)) => {
                self.may(LOOK) && operator == Operator::Eq && literal.as_boolean() == Some(*value)
            }
            (_, Value::String(value)) => {
                let Some(text) = literal.as_text() else { return false };
                self.may_compare(value, text) && self.compare_string(leaf, operator, value, text)
            }
            _ => false,
        }
    }

    fn may_compare(&self, value: &str, text: &str) -> bool {
        self.may(LOOK.saturating_add(value.len()).saturating_add(text.len()))
    }

    fn compare_string(&self, leaf: &Attribute, operator: Operator, value: &str, text: &str) -> bool {
        match leaf.kind {
            AttributeType::DateTime => {
                let instants = instant(text).zip(instant(value));
                instants.is_some_and(|(literal, value)| fulfils(operator, value.cmp(&literal)))
            }
            AttributeType::Binary => operator == Operator::Eq && text == value,
            AttributeType::String | AttributeType::Reference if leaf.case == Case::Exact => {
                compare_text(operator, value, text)
            }
            AttributeType::String | AttributeType::Reference => self.compare_folded(operator, value, text),
            AttributeType::Boolean | AttributeType::Complex => false,
        }
    }

    /// Without case. Blanks around do not distinguish whole values, but are what they are in a part of one.
    fn compare_folded(&self, operator: Operator, value: &str, text: &str) -> bool {
        let (value, text) = (self.lower(value), self.lower(text));
        match operator {
            Operator::Co | Operator::Sw | Operator::Ew => compare_text(operator, &value, &text),
            _ => compare_text(operator, value.trim(), text.trim()),
        }
    }
}

fn objects(values: Vec<&Value>) -> impl Iterator<Item = &Map<String, Value>> {
    values.into_iter().filter_map(Value::as_object)
}

/// The definition that a path leads to, and the values that are there; none for an unknown attribute.
fn find_values<'a>(path: &AttributePath, scope: Scope<'a>) -> Option<(&'static Attribute, Vec<&'a Value>)> {
    let (attribute, value) = match scope {
        Scope::Resource(resource_type, resource) => {
            let located = find_attribute(resource_type, path.urn.as_deref(), &path.name)?;
            let holder = match located.extension {
                Some(schema) => resource.get(schema.id).and_then(Value::as_object),
                None => Some(resource),
            };
            (located.attribute, holder.and_then(|holder| holder.get(located.attribute.name)))
        }
        Scope::Value(attribute, value) => {
            let leaf = attribute.sub_attribute(&path.name)?;
            (leaf, value.get(leaf.name))
        }
        Scope::Custom(_) => return None,
    };
    Some((
        attribute,
        match value {
            None => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        },
    ))
}

fn compare_text(operator: Operator, value: &str, text: &str) -> bool {
    match operator {
        Operator::Co => value.contains(text),
        Operator::Sw => value.starts_with(text),
        Operator::Ew => value.ends_with(text),
        _ => fulfils(operator, value.cmp(text)),
    }
}

fn fulfils(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}
