//! The grammar of filters, held against another implementation of the same standard.

use portcullis_scim::filter::{Literal, Operator};
use portcullis_scim::path::AttributePath;
use portcullis_scim::{Filter, ScimError};
use scim_v2::filter as other;

/// The other's tree as ours, with chains of one connective flat on both sides.
fn translate(filter: &other::Filter) -> Filter {
    match filter {
        other::Filter::Attr(expression) => translate_expression(expression),
        other::Filter::ValuePath(path) => Filter::ValuePath {
            path: translate_path(&path.attr),
            filter: Box::new(translate_inner(&path.filter)),
        },
        other::Filter::Not(inner) => Filter::Not(Box::new(translate(inner))),
        other::Filter::And(filters) => Filter::And(filters.as_slice().iter().map(translate).collect()),
        other::Filter::Or(filters) => Filter::Or(filters.as_slice().iter().map(translate).collect()),
    }
}

fn translate_inner(filter: &other::ValFilter) -> Filter {
    match filter {
        other::ValFilter::Attr(expression) => translate_expression(expression),
        other::ValFilter::Not(inner) => Filter::Not(Box::new(translate_inner(inner))),
        other::ValFilter::And(filters) => {
            Filter::And(filters.as_slice().iter().map(translate_inner).collect())
        }
        other::ValFilter::Or(filters) => Filter::Or(filters.as_slice().iter().map(translate_inner).collect()),
    }
}

fn translate_expression(expression: &other::AttrExp) -> Filter {
    match expression {
        other::AttrExp::Present(path) => Filter::Present(translate_path(path)),
        other::AttrExp::Comparison(path, operator, value) => Filter::Compare {
            path: translate_path(path),
            operator: match operator {
                other::CompareOp::Eq => Operator::Eq,
                other::CompareOp::Ne => Operator::Ne,
                other::CompareOp::Co => Operator::Co,
                other::CompareOp::Sw => Operator::Sw,
                other::CompareOp::Ew => Operator::Ew,
                other::CompareOp::Gt => Operator::Gt,
                other::CompareOp::Lt => Operator::Lt,
                other::CompareOp::Ge => Operator::Ge,
                other::CompareOp::Le => Operator::Le,
            },
            literal: match value {
                other::CompValue::True => Literal::Boolean(true),
                other::CompValue::False => Literal::Boolean(false),
                other::CompValue::Null => Literal::Null,
                other::CompValue::Number(number) => Literal::Number(number.to_string()),
                other::CompValue::Str(text) => Literal::Text(text.clone()),
            },
        },
    }
}

fn translate_path(path: &other::AttrPath) -> AttributePath {
    let theirs = AttributePath {
        urn: path.uri.clone(),
        name: path.name.clone(),
        sub_attribute: path.sub_attr.clone(),
    };
    // Where a URN of the standard ends, ours knows, also where a dot or nothing stands for its last colon.
    match AttributePath::parse(&theirs.to_string()) {
        Some(ours) if is_of_the_standard(&theirs) => ours,
        _ => theirs,
    }
}

fn is_of_the_standard(path: &AttributePath) -> bool {
    let urn = path.urn.as_deref().unwrap_or_default().to_ascii_lowercase();
    ["urn:ietf:params:scim:schemas:", "urn:scim:schemas:"].iter().any(|root| urn.starts_with(root))
}

/// Ours as the other would keep it: chains of one connective flat, numbers as they are and not as they were written.
fn as_kept(filter: Filter) -> Filter {
    match flat(filter, &as_kept) {
        Filter::Compare { path, operator, literal: Literal::Number(number) } => {
            let number = number.parse::<serde_json::Number>().map_or(number, |number| number.to_string());
            Filter::Compare { path, operator, literal: Literal::Number(number) }
        }
        filter => filter,
    }
}

fn flatten(filter: Filter) -> Filter {
    flat(filter, &flatten)
}

/// Chains of one connective as one chain; what is inside is done by `inside`.
fn flat(filter: Filter, inside: &impl Fn(Filter) -> Filter) -> Filter {
    match filter {
        Filter::And(filters) => {
            let parts = filters.into_iter().map(inside).flat_map(|part| match part {
                Filter::And(filters) => filters,
                part => vec![part],
            });
            Filter::And(parts.collect())
        }
        Filter::Or(filters) => {
            let parts = filters.into_iter().map(inside).flat_map(|part| match part {
                Filter::Or(filters) => filters,
                part => vec![part],
            });
            Filter::Or(parts.collect())
        }
        Filter::Not(inner) => Filter::Not(Box::new(inside(*inner))),
        Filter::ValuePath { path, filter } => Filter::ValuePath { path, filter: Box::new(inside(*filter)) },
        leaf => leaf,
    }
}

/// Words of the grammar.
const WORDS: [&str; 6] = ["and", "or", "not", "true", "false", "null"];

/// Whether the other reads the text as a filter.
#[must_use]
pub fn reads(text: &str) -> bool {
    text.parse::<other::Filter>().is_ok()
}

/// Both read the text as the same tree, each as far as its grammar goes.
///
/// What the other reads, ours reads, unless it is over our bounds or is one of the `is_narrower` forms. What ours
/// reads, the other reads in the form that ours prints, which has no liberties left.
///
/// # Panics
///
/// If they differ.
pub fn require_same_reading(text: &str, ours: Result<&Filter, &ScimError>, printed: Option<&str>) {
    // The other takes any blank for one; the grammar of the standard has one kind.
    if text.chars().any(|c| c.is_whitespace() && c != ' ') {
        return;
    }
    match (text.parse::<other::Filter>(), ours) {
        (Ok(theirs), Ok(ours)) => {
            assert_eq!(as_kept(ours.clone()), flatten(translate(&theirs)), "{text}");
        }
        (Ok(theirs), Err(error)) => {
            assert!(
                is_narrower(text, &theirs, error),
                "ours refuses what the standard has ({error}): {text}"
            );
        }
        (Err(_), Ok(_) | Err(_)) => {}
    }
    if let (Ok(ours), Some(printed)) = (ours, printed)
        && has_plain_names(ours)
    {
        match printed.parse::<other::Filter>() {
            Ok(theirs) => assert_eq!(as_kept(ours.clone()), flatten(translate(&theirs)), "{printed}"),
            Err(error) => panic!("the other refuses our form ({error}): {printed}"),
        }
    }
}

/// Whether ours refuses on purpose what the other reads: over a bound, a null character, brackets behind a
/// sub-attribute (`name.formatted[…]`), which no attribute of the standard has, or a name in a URN that goes on behind
/// the URN of a schema that ours defines: there its names begin. The other also leaves out a blank before a bracket.
fn is_narrower(text: &str, theirs: &other::Filter, error: &ScimError) -> bool {
    match error {
        ScimError::FilterTooLarge { .. } => true,
        ScimError::InvalidFilter { .. } if text.contains(" [") => true,
        ScimError::InvalidFilter { .. } => any(&translate(theirs), &|filter| match filter {
            Filter::ValuePath { path, .. } => path.sub_attribute.is_some() || goes_on_behind_a_schema(path),
            Filter::Compare { path, literal: Literal::Text(text), .. } => {
                text.contains('\0') || goes_on_behind_a_schema(path)
            }
            Filter::Compare { path, .. } | Filter::Present(path) => goes_on_behind_a_schema(path),
            _ => false,
        }),
        _ => false,
    }
}

fn goes_on_behind_a_schema(path: &AttributePath) -> bool {
    is_of_the_standard(path) && AttributePath::parse(&path.to_string()).is_none()
}

/// Whether the other's grammar has all names: it has no `$ref`, no attribute that is called as a word of the grammar,
/// and takes only a URN with a scheme for one.
fn has_plain_names(filter: &Filter) -> bool {
    let is_plain = |path: &AttributePath| {
        let names = [Some(&path.name), path.sub_attribute.as_ref()];
        let is_urn = |urn: &String| {
            let rest = urn.strip_prefix("urn:");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
            rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain))
        };
        let is_word = |name: &String| WORDS.iter().any(|word| word.eq_ignore_ascii_case(name));
        names.into_iter().flatten().all(|name| !name.starts_with('$') && !is_word(name))
            && path.urn.as_ref().is_none_or(is_urn)
    };
    !any(filter, &|filter| match filter {
        Filter::Present(path) | Filter::Compare { path, .. } | Filter::ValuePath { path, .. } => {
            !is_plain(path)
        }
        _ => false,
    })
}

fn any(filter: &Filter, is_so: &impl Fn(&Filter) -> bool) -> bool {
    is_so(filter)
        || match filter {
            Filter::And(filters) | Filter::Or(filters) => filters.iter().any(|inner| any(inner, is_so)),
            Filter::Not(inner) | Filter::ValuePath { filter: inner, .. } => any(inner, is_so),
            Filter::Present(_) | Filter::Compare { .. } => false,
        }
}
