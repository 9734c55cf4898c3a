//! The exact shape of messages: which element may stand where, how often, with which attributes.
//!
//! Here because a forged document mostly differs from a true one by an element in a place where none belongs. The
//! table is walked before any key is touched; what it does not name is refused (SAML Core §2, §3; XML Signature §4).

use std::collections::BTreeSet;

use thiserror::Error;

use crate::document::{Name, Node, NotText};
use crate::encoding::shown;
use crate::names::{ASSERTION, DSIG, METADATA, PROTOCOL, XENC, XENC11};
use crate::refusal::BrokenRule;

mod table;

pub(crate) use table::{
    ASSERTION_SHAPE, LOGOUT_REQUEST_SHAPE, LOGOUT_RESPONSE_SHAPE, NAME_ID, RESPONSE_SHAPE, SIGNATURE_SHAPE,
};

/// Longest text of an element or attribute that this room reads, ciphertext and signatures apart, in bytes.
pub const MAX_TEXT_BYTES: usize = 8 * 1_024;
/// Longest id, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Where a message differs from the shape that it must have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// Another document element.
    #[error("the message is a `{received}`, not a `{expected}`")]
    WrongMessage {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        received: String,
    },
    /// An element that may not stand there.
    #[error("`{element}` may not stand in `{within}`, or not at this place")]
    UnexpectedElement {
        /// Its name.
        element: String,
        /// Where.
        within: String,
    },
    /// An element that must stand there.
    #[error("`{within}` has no `{element}`")]
    MissingElement {
        /// Its name.
        element: &'static str,
        /// Where.
        within: String,
    },
    /// An element more often than it may stand there.
    #[error("`{within}` has more than {max} `{element}`")]
    RepeatedElement {
        /// Its name.
        element: String,
        /// Where.
        within: String,
        /// How often it may.
        max: usize,
    },
    /// An attribute that may not stand there.
    #[error("`{element}` may not have the attribute `{attribute}`")]
    UnexpectedAttribute {
        /// Its name.
        attribute: String,
        /// Where.
        element: String,
    },
    /// An attribute that must stand there.
    #[error("`{element}` has no attribute `{attribute}`")]
    MissingAttribute {
        /// Its name.
        attribute: &'static str,
        /// Where.
        element: String,
    },
    /// Text between elements.
    #[error("`{element}` has text between its elements")]
    UnexpectedText {
        /// Where.
        element: String,
    },
    /// A comment within a value that is read: two readers would read two values.
    #[error("`{element}` has a comment within its text")]
    CommentInText {
        /// Where.
        element: String,
    },
    /// A text or an attribute beyond [`MAX_TEXT_BYTES`].
    #[error("a text of `{element}` has more than {MAX_TEXT_BYTES} bytes")]
    TextTooLong {
        /// Where.
        element: String,
    },
    /// An id that is no NCName.
    #[error("`{element}` has an id that is no name")]
    BadId {
        /// Where.
        element: String,
        /// The id, cut.
        id: String,
    },
    /// An id that stands twice.
    #[error("the id `{id}` stands twice")]
    RepeatedId {
        /// The id.
        id: String,
    },
    /// Something that SAML knows and this room does not read.
    #[error("`{element}` is not supported")]
    Unsupported {
        /// What.
        element: String,
    },
    /// Not exactly one assertion.
    #[error("the response has {count} assertions, plain and encrypted together")]
    AssertionCount {
        /// How many.
        count: usize,
    },
}

impl ShapeError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "SAML Core §2–3";
        let forged = "a message was changed on its way, or the provider sends what SAML does not allow here";
        match self {
            Self::WrongMessage { expected, received } => BrokenRule::new(
                "message_of_other_kind",
                "SAML Bindings §3.5.4",
                "check which URL of ours the provider sends this to",
            )
            .expected(expected)
            .received(received),
            Self::UnexpectedElement { element, within } => {
                BrokenRule::new("element_unexpected", section, forged)
                    .expected(format!("what SAML has stand in {within}, in its order"))
                    .received(format!("{element} in {within}"))
            }
            Self::MissingElement { element, within } => {
                BrokenRule::new("element_missing", section, "the provider must send this element")
                    .expected(format!("{element} in {within}"))
                    .received("none")
            }
            Self::RepeatedElement { element, within, max } => {
                BrokenRule::new("element_repeated", section, forged)
                    .expected(format!("at most {max}"))
                    .received(format!("{element} in {within}"))
            }
            Self::UnexpectedAttribute { attribute, element } => {
                BrokenRule::new("attribute_unexpected", section, forged)
                    .expected(format!("the attributes that SAML gives {element}"))
                    .received(format!("{attribute} of {element}"))
            }
            Self::MissingAttribute { attribute, element } => {
                BrokenRule::new("attribute_missing", section, "the provider must send this attribute")
                    .expected(format!("{attribute} of {element}"))
                    .received("none")
            }
            Self::UnexpectedText { element } => {
                BrokenRule::new("text_unexpected", section, forged)
                    .expected("elements alone")
                    .received(format!("text in {element}"))
            }
            Self::CommentInText { element } => BrokenRule::new("comment_in_value", "CVE-2017-11427", forged)
                .expected("text alone")
                .received(element),
            Self::TextTooLong { element } => {
                BrokenRule::new("text_too_long", section, "have the provider send shorter values")
                    .expected(format!("at most {MAX_TEXT_BYTES} bytes"))
                    .received(element)
            }
            Self::BadId { element, id } => BrokenRule::new("id_invalid", "SAML Core §1.3.4", forged)
                .expected(format!("a name of at most {MAX_ID_BYTES} letters, digits, `_`, `-` and `.`"))
                .received(format!("`{id}` of {element}")),
            Self::RepeatedId { id } => BrokenRule::new("id_repeated", "SAML Core §1.3.4", forged)
                .expected("an id of each element's own")
                .received(format!("`{id}` twice")),
            Self::Unsupported { element } => BrokenRule::new(
                "element_unsupported",
                section,
                "switch this off at the provider: names and attributes are read plain, or inside an encrypted assertion",
            )
            .expected("what is read plain, or inside an encrypted assertion")
            .received(element),
            Self::AssertionCount { count } => BrokenRule::new(
                "assertion_count",
                "SAML Profiles §4.1.4.2",
                "the provider must send exactly one assertion, plain or encrypted",
            )
            .expected("1")
            .received(count),
        }
    }
}

/// An element: its attributes and what it holds.
pub(crate) struct Shape {
    name: Name,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    foreign: Foreign,
    content: Content,
}

/// Whether attributes of other namespaces than those of SAML and XML Security may stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Foreign {
    Refused,
    Allowed,
}

/// What an element holds.
enum Content {
    /// Text alone, at most [`MAX_TEXT_BYTES`].
    Text,
    /// Text alone, of any length: ciphertext, signatures.
    LongText,
    /// Nothing.
    Empty,
    /// Elements in this order, then any of some others in any order.
    Elements { first: &'static [Part], then: &'static [Part] },
    /// Text, or elements of this one kind.
    TextOr(&'static Part),
    /// Anything but messages, assertions, signatures and encrypted things: it is never read.
    Unread,
}

/// A child: its shape and how often it stands.
struct Part {
    shape: &'static Shape,
    min: usize,
    max: usize,
}

/// Walks `root` along `shape`. Gives back nothing: what is read later is read from the tree.
pub(crate) fn require(root: Node<'_>, shape: &'static Shape) -> Result<(), ShapeError> {
    if !root.is(shape.name) {
        return Err(ShapeError::WrongMessage { expected: shape.name.local, received: shown(root.local()) });
    }
    Walk { ids: BTreeSet::new() }.element(root, shape)
}

struct Walk<'t> {
    ids: BTreeSet<&'t str>,
}

impl<'t> Walk<'t> {
    fn element(&mut self, node: Node<'t>, shape: &'static Shape) -> Result<(), ShapeError> {
        self.attributes(node, shape)?;
        match &shape.content {
            Content::Text => require_text(node, MAX_TEXT_BYTES),
            Content::LongText => require_text(node, usize::MAX),
            Content::Empty => match node.children().next() {
                Some(child) => Err(unexpected(child, node)),
                None => require_no_text(node),
            },
            Content::Elements { first, then } => {
                require_no_text(node)?;
                self.elements(node, first, then)
            }
            Content::TextOr(part) => match node.children().next() {
                None => require_text(node, MAX_TEXT_BYTES),
                Some(_) => {
                    require_no_text(node)?;
                    self.elements(node, std::slice::from_ref(*part), &[])
                }
            },
            Content::Unread => self.unread(node),
        }
    }

    fn attributes(&mut self, node: Node<'t>, shape: &'static Shape) -> Result<(), ShapeError> {
        for attribute in node.attributes() {
            if attribute.value.len() > MAX_TEXT_BYTES {
                return Err(ShapeError::TextTooLong { element: shown(node.local()) });
            }
            let is_known = if attribute.space.is_empty() {
                shape.required.contains(&attribute.local) || shape.optional.contains(&attribute.local)
            } else {
                shape.foreign == Foreign::Allowed && !is_ours(attribute.space) && !is_id(attribute.local)
            };
            if !is_known {
                return Err(unexpected_attribute(node, attribute.local));
            }
            if attribute.space.is_empty() && is_id(attribute.local) {
                self.id(node, attribute.value)?;
            }
        }
        match shape.required.iter().find(|&&name| node.attribute(name).is_none()) {
            Some(attribute) => Err(ShapeError::MissingAttribute { attribute, element: shown(node.local()) }),
            None => Ok(()),
        }
    }

    fn id(&mut self, node: Node<'t>, id: &'t str) -> Result<(), ShapeError> {
        if !is_ncname(id) {
            return Err(ShapeError::BadId { element: shown(node.local()), id: shown(id) });
        }
        if self.ids.insert(id) { Ok(()) } else { Err(ShapeError::RepeatedId { id: shown(id) }) }
    }

    fn elements(
        &mut self,
        node: Node<'t>,
        first: &'static [Part],
        then: &'static [Part],
    ) -> Result<(), ShapeError> {
        let mut counts = vec![0_usize; first.len() + then.len()];
        let mut stage = 0;
        for child in node.children() {
            let place = first.iter().chain(then).position(|part| child.is(part.shape.name));
            let Some((place, part)) = place.and_then(|at| Some((at, first.iter().chain(then).nth(at)?)))
            else {
                return Err(unexpected(child, node));
            };
            // The later an element stands in `first`, the later it stands in the message; `then` comes after all.
            let here = place.min(first.len());
            if here < stage {
                return Err(unexpected(child, node));
            }
            stage = here;
            let Some(count) = counts.get_mut(place) else {
                return Err(unexpected(child, node));
            };
            *count += 1;
            if *count > part.max {
                return Err(ShapeError::RepeatedElement {
                    element: shown(child.local()),
                    within: shown(node.local()),
                    max: part.max,
                });
            }
            self.element(child, part.shape)?;
        }
        let missing = first.iter().chain(then).zip(&counts).find(|(part, count)| **count < part.min);
        match missing {
            Some((part, _)) => Err(ShapeError::MissingElement {
                element: part.shape.name.local,
                within: shown(node.local()),
            }),
            None => Ok(()),
        }
    }

    /// What is never read may hold anything but what somebody could be brought to read.
    fn unread(&mut self, node: Node<'t>) -> Result<(), ShapeError> {
        for child in node.children() {
            let is_harmless = match child.space() {
                PROTOCOL | ASSERTION | METADATA | XENC | XENC11 => false,
                DSIG => {
                    !matches!(child.local(), "Signature" | "SignedInfo" | "Object" | "Manifest" | "Reference")
                }
                _ => true,
            };
            if !is_harmless {
                return Err(unexpected(child, node));
            }
            for attribute in child.attributes() {
                if is_id(attribute.local) {
                    if !attribute.space.is_empty() {
                        return Err(unexpected_attribute(child, attribute.local));
                    }
                    self.id(child, attribute.value)?;
                }
            }
            self.unread(child)?;
        }
        Ok(())
    }
}

fn unexpected(child: Node<'_>, within: Node<'_>) -> ShapeError {
    let is_known_to_saml = child.space() == ASSERTION
        && matches!(
            child.local(),
            "EncryptedID" | "EncryptedAttribute" | "BaseID" | "Advice" | "AuthzDecisionStatement"
        );
    if is_known_to_saml {
        return ShapeError::Unsupported { element: shown(child.local()) };
    }
    ShapeError::UnexpectedElement { element: shown(child.local()), within: shown(within.local()) }
}

fn unexpected_attribute(node: Node<'_>, attribute: &str) -> ShapeError {
    ShapeError::UnexpectedAttribute { attribute: shown(attribute), element: shown(node.local()) }
}

fn require_text(node: Node<'_>, max_bytes: usize) -> Result<(), ShapeError> {
    let element = || shown(node.local());
    match node.text_bytes() {
        Ok(bytes) if bytes > max_bytes => Err(ShapeError::TextTooLong { element: element() }),
        Ok(_) => Ok(()),
        Err(NotText::Comment) => Err(ShapeError::CommentInText { element: element() }),
        Err(NotText::Element) => match node.children().next() {
            Some(child) => Err(unexpected(child, node)),
            None => Err(ShapeError::UnexpectedText { element: element() }),
        },
    }
}

fn require_no_text(node: Node<'_>) -> Result<(), ShapeError> {
    if node.has_text_between() {
        return Err(ShapeError::UnexpectedText { element: shown(node.local()) });
    }
    Ok(())
}

fn is_ours(space: &str) -> bool {
    matches!(space, PROTOCOL | ASSERTION | METADATA | DSIG | XENC | XENC11)
}

/// `ID` of SAML, `Id` of XML Security, `id` of `xml:id`: whatever a resolver might take for an identifier.
fn is_id(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("id")
}

/// An id as SAML and XML Signature want it; ASCII is what providers send (XML Names §4).
fn is_ncname(id: &str) -> bool {
    let mut bytes = id.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins
        && id.len() <= MAX_ID_BYTES
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
