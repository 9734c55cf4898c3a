//! Filters as text, against what RFC 7644 section 3.4.2.2 says about each operator, each kind of attribute and the order in
//! which words bind. The model holds people as a table and knows nothing of the parser or the evaluator.

use std::collections::BTreeMap;

use portcullis_scim::{Filter, ResourceType};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wire::ENTERPRISE;

/// Instants as clients write them, and their place in time.
const INSTANTS: [(&str, u8); 5] = [
    ("2026-01-01T00:00:00Z", 1),
    ("2026-01-01T01:00:00+01:00", 1),
    ("2026-01-01T00:00:00.001Z", 2),
    ("2025-12-31T19:00:00.001-05:00", 2),
    ("2026-06-01T00:00:00-05:00", 3),
];

/// What a filter can ask about: its name on the wire, and its kind.
const COLUMNS: [(&str, Kind); 8] = [
    ("userName", Kind::Folded),
    ("externalId", Kind::Exact),
    ("name.givenName", Kind::Folded),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", Kind::Folded),
    ("meta.created", Kind::Instant),
    ("active", Kind::Flag),
    ("emails.type", Kind::Folded),
    ("emails.value", Kind::Folded),
];

/// The same inside of `emails[…]`.
const PARTS: [(&str, Kind); 3] = [("value", Kind::Folded), ("TYPE", Kind::Folded), ("primary", Kind::Flag)];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Folded,
    Exact,
    Instant,
    Flag,
}

/// What a filter asks, as somebody who has read the standard would write it down.
#[derive(Debug, Clone)]
enum Ask {
    Present(&'static str),
    Compare(&'static str, Kind, &'static str, Value),
    Email(Box<Ask>),
    And(Box<Ask>, Box<Ask>),
    Or(Box<Ask>, Box<Ask>),
    Not(Box<Ask>),
}

impl Ask {
    /// The text: `and` binds before `or`, so parentheses stand only where they must.
    fn text(&self) -> String {
        let tight = |ask: &Self| match ask {
            Self::Or(..) => format!("({})", ask.text()),
            _ => ask.text(),
        };
        match self {
            Self::Present(name) => format!("{name} pr"),
            Self::Compare(name, _, operator, literal) => format!("{name} {operator} {literal}"),
            Self::Email(ask) => format!("emails[{}]", ask.text()),
            Self::And(one, other) => format!("{} AND {}", tight(one), tight(other)),
            Self::Or(one, other) => format!("{} or {}", one.text(), other.text()),
            Self::Not(ask) => format!("not ({})", ask.text()),
        }
    }

    /// Whether it is so. `values` are those of a name, for a person or for one address.
    fn holds(&self, values: &dyn Fn(&str) -> Vec<Value>, emails: &[BTreeMap<&'static str, Value>]) -> bool {
        match self {
            Self::Present(name) => !values(name).is_empty(),
            // What has no value is not equal to anything.
            Self::Compare(name, kind, "ne", literal) => {
                !values(name).iter().any(|value| compares(*kind, "eq", value, literal))
            }
            Self::Compare(name, kind, operator, literal) => {
                values(name).iter().any(|value| compares(*kind, operator, value, literal))
            }
            Self::Email(ask) => emails.iter().any(|email| {
                let part =
                    |name: &str| email.get(name.to_lowercase().as_str()).cloned().into_iter().collect();
                ask.holds(&part, &[])
            }),
            Self::And(one, other) => one.holds(values, emails) && other.holds(values, emails),
            Self::Or(one, other) => one.holds(values, emails) || other.holds(values, emails),
            Self::Not(ask) => !ask.holds(values, emails),
        }
    }
}

fn compares(kind: Kind, operator: &str, value: &Value, literal: &Value) -> bool {
    if kind == Kind::Flag {
        return operator == "eq" && value == literal;
    }
    let (value, literal) = (value.as_str().expect("text"), literal.as_str().expect("text"));
    let (value, literal) = match kind {
        Kind::Folded => (value.to_lowercase(), literal.to_lowercase()),
        Kind::Exact => (value.to_owned(), literal.to_owned()),
        Kind::Instant | Kind::Flag => (place(value), place(literal)),
    };
    match operator {
        "eq" => value == literal,
        "co" => value.contains(&literal),
        "sw" => value.starts_with(&literal),
        "ew" => value.ends_with(&literal),
        "gt" => value > literal,
        "ge" => value >= literal,
        "lt" => value < literal,
        "le" => value <= literal,
        other => panic!("{other}"),
    }
}

fn place(instant: &str) -> String {
    let (_, place) = INSTANTS.iter().find(|(text, _)| *text == instant).expect("one of the instants");
    place.to_string()
}

/// Somebody, as a table of names and values.
#[derive(Debug, Clone)]
struct Person {
    columns: BTreeMap<&'static str, Value>,
    emails: Vec<BTreeMap<&'static str, Value>>,
}

impl Person {
    fn values(&self, name: &str) -> Vec<Value> {
        match name.strip_prefix("emails.") {
            Some(part) => self.emails.iter().filter_map(|email| email.get(part).cloned()).collect(),
            None => self.columns.get(name).cloned().into_iter().collect(),
        }
    }

    fn resource(&self) -> Value {
        let mut resource = json!({});
        for (name, value) in &self.columns {
            match *name {
                "name.givenName" => resource["name"]["givenName"] = value.clone(),
                "meta.created" => resource["meta"]["created"] = value.clone(),
                name if name.starts_with(ENTERPRISE) => resource[ENTERPRISE]["department"] = value.clone(),
                name => resource[name] = value.clone(),
            }
        }
        if !self.emails.is_empty() {
            resource["emails"] = json!(self.emails);
        }
        resource
    }
}

fn value_of(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Folded | Kind::Exact => "[abA]{1,2}".prop_map(Value::from).boxed(),
        Kind::Instant => prop::sample::select(INSTANTS.to_vec()).prop_map(|(text, _)| text.into()).boxed(),
        Kind::Flag => any::<bool>().prop_map(Value::from).boxed(),
    }
}

fn operators(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::Folded | Kind::Exact => vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"],
        Kind::Instant => vec!["eq", "ne", "gt", "ge", "lt", "le"],
        Kind::Flag => vec!["eq", "ne"],
    }
}

fn leaves(columns: &'static [(&'static str, Kind)]) -> BoxedStrategy<Ask> {
    prop::sample::select(columns)
        .prop_flat_map(|(name, kind)| {
            let compare = (prop::sample::select(operators(kind)), value_of(kind));
            prop_oneof![
                1 => Just(Ask::Present(name)),
                4 => compare.prop_map(move |(operator, value)| Ask::Compare(name, kind, operator, value)),
            ]
        })
        .boxed()
}

fn joined(leaf: BoxedStrategy<Ask>) -> BoxedStrategy<Ask> {
    leaf.prop_recursive(3, 10, 2, |inner| {
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            two().prop_map(|(one, other)| Ask::And(one.into(), other.into())),
            two().prop_map(|(one, other)| Ask::Or(one.into(), other.into())),
            inner.prop_map(|ask| Ask::Not(ask.into())),
        ]
    })
    .boxed()
}

fn asks() -> BoxedStrategy<Ask> {
    let email = joined(leaves(&PARTS)).prop_map(|ask| Ask::Email(ask.into()));
    joined(prop_oneof![3 => leaves(&COLUMNS), 1 => email].boxed())
}

fn people() -> impl Strategy<Value = Person> {
    let row = |columns: &'static [(&'static str, Kind)]| {
        let cells: Vec<_> = columns.iter().map(|(_, kind)| prop::option::of(value_of(*kind))).collect();
        cells.prop_map(move |cells| {
            let named = columns.iter().zip(cells).filter_map(|((name, _), cell)| Some((*name, cell?)));
            named.collect::<BTreeMap<_, _>>()
        })
    };
    const OWN: [(&str, Kind); 6] = [COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3], COLUMNS[4], COLUMNS[5]];
    const EMAIL: [(&str, Kind); 3] =
        [("value", Kind::Folded), ("type", Kind::Folded), ("primary", Kind::Flag)];
    (row(&OWN), prop::collection::vec(row(&EMAIL), 0..3)).prop_map(|(columns, emails)| Person {
        columns,
        emails: emails.into_iter().filter(|email| !email.is_empty()).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filter_as_text_means_what_the_standard_says(ask in asks(), person in people()) {
        let text = ask.text();
        let filter = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert!(filter.check_names(ResourceType::User).is_ok(), "{}", text);
        prop_assert!(filter.check_types(ResourceType::User).is_ok(), "{}", text);
        let resource = person.resource();
        let expected = ask.holds(&|name| person.values(name), &person.emails);
        let actual = filter.matches(ResourceType::User, resource.as_object().expect("an object"));
        prop_assert_eq!(actual, expected, "{} of {}", text, resource);
    }
}
