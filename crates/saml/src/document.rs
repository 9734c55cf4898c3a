//! The one tree of a message: bounded before it is parsed, looked over once, then walked by exact names.
//!
//! Here so that nothing else of this room names the parser. A `Node` is a place in the tree; canonical bytes, checks
//! and values all come from the same one.

use thiserror::Error;
use uppsala::{Document, Element, NodeId, NodeKind, Parser};

use crate::encoding::shown;
use crate::refusal::BrokenRule;

/// Deepest nesting of elements.
pub const MAX_DEPTH: u32 = 64;
/// Most characters `<` of a message, which bounds elements, comments and text nodes before anything is built: twice
/// [`crate::attribute::MAX_VALUES`] and what stands around them.
pub const MAX_MARKUP: usize = 5_000;
/// Most attributes of one element, namespace declarations among them: the parser compares each with each.
pub const MAX_ATTRIBUTES_OF_ELEMENT: usize = 24;
/// Most attributes of a whole message: Okta writes two namespaces and a type at each value.
pub const MAX_ATTRIBUTES_OF_MESSAGE: usize = 8_000;

/// Why bytes are no tree that this room reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// More bytes, markup, attributes or namespaces than its bound.
    #[error("the message has more than {max} {what}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Not UTF-8, or declared to be something else.
    #[error("the message is not utf-8")]
    NotUtf8,
    /// Not well-formed, nested deeper than [`MAX_DEPTH`], or with an undeclared prefix or entity.
    #[error("the message is no well-formed xml: {why}")]
    Malformed {
        /// What the parser says, cut.
        why: String,
    },
    /// A document type declaration, with which entities and other files come.
    #[error("the message has a document type declaration")]
    DocumentType,
    /// A processing instruction or a CDATA section, which SAML has no use for.
    #[error("the message has a {what}")]
    Construct {
        /// Which.
        what: &'static str,
    },
    /// A namespace that cannot be canonicalised: relative, empty, or bound to a reserved prefix.
    #[error("the namespace `{uri}` of prefix `{prefix}` is not absolute or is reserved")]
    BadNamespace {
        /// The prefix.
        prefix: String,
        /// The URI, cut.
        uri: String,
    },
}

impl DocumentError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let (section, theirs) = ("SAML2Int §2.1.2", "the provider must send plain SAML; ask its vendor");
        match self {
            Self::TooLarge { what, max } => BrokenRule::new(
                "message_too_large",
                "XML Signature Best Practices §2.1",
                "have the provider send fewer attributes or groups",
            )
            .expected(format!("at most {max} {what}")),
            Self::NotUtf8 => BrokenRule::new("message_not_utf8", "XML 1.0 §4.3.3", theirs).expected("UTF-8"),
            Self::Malformed { why } => {
                BrokenRule::new("message_malformed", "XML 1.0 §2.1", theirs).received(why)
            }
            Self::DocumentType => BrokenRule::new("doctype_refused", section, theirs).received("<!DOCTYPE"),
            Self::Construct { what } => {
                BrokenRule::new("construct_refused", "SAML Core §1.3.1", theirs).received(what)
            }
            Self::BadNamespace { prefix, uri } => {
                BrokenRule::new("namespace_refused", "Canonical XML 1.0 §1.1", theirs)
                    .expected("an absolute namespace URI")
                    .received(format!("{prefix}: {uri}"))
            }
        }
    }
}

/// A message as one tree.
pub(crate) struct Tree<'a> {
    document: Document<'a>,
}

impl<'a> Tree<'a> {
    /// Parses at most `max_bytes`, and looks over every node once.
    pub(crate) fn parse(bytes: &'a [u8], max_bytes: usize) -> Result<Self, DocumentError> {
        if bytes.len() > max_bytes {
            return Err(DocumentError::TooLarge { what: "bytes", max: max_bytes });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::NotUtf8)?;
        require_little_markup(bytes)?;
        if text.contains("<!DOCTYPE") {
            return Err(DocumentError::DocumentType);
        }
        let document = Parser::new()
            .with_forbid_dtd(true)
            .with_max_depth(MAX_DEPTH)
            .parse(text)
            .map_err(|error| DocumentError::Malformed { why: shown(&error.to_string()) })?;
        let tree = Self { document };
        tree.require_utf8_declaration()?;
        tree.look_over()?;
        Ok(tree)
    }

    /// The document element.
    pub(crate) fn root(&self) -> Option<Node<'_>> {
        self.document.document_element().map(|id| Node { document: &self.document, id })
    }

    fn require_utf8_declaration(&self) -> Result<(), DocumentError> {
        let declared = self.document.xml_declaration.as_ref();
        match declared.and_then(|declaration| declaration.encoding.as_deref()) {
            Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => Err(DocumentError::NotUtf8),
            _ => Ok(()),
        }
    }

    fn look_over(&self) -> Result<(), DocumentError> {
        for id in self.document.descendants(self.document.root()) {
            match self.document.node_kind(id) {
                Some(NodeKind::Element(element)) => require_absolute_namespaces(element)?,
                Some(NodeKind::ProcessingInstruction(_)) => {
                    return Err(DocumentError::Construct { what: "processing instruction" });
                }
                Some(NodeKind::CData(_)) => {
                    return Err(DocumentError::Construct { what: "CDATA section" });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Counts before anything is built, so that a small message cannot make a large tree. What looks like an attribute in a
/// text is counted too; no text of SAML has so many.
fn require_little_markup(bytes: &[u8]) -> Result<(), DocumentError> {
    let too_large = |what, max| Err(DocumentError::TooLarge { what, max });
    let (mut tags, mut attributes) = (0, 0);
    for tag in bytes.split(|&byte| byte == b'<') {
        let of_tag = attributes_in(tag);
        tags += 1;
        attributes += of_tag;
        if tags > MAX_MARKUP {
            return too_large("tags", MAX_MARKUP);
        }
        if of_tag > MAX_ATTRIBUTES_OF_ELEMENT {
            return too_large("attributes of one element", MAX_ATTRIBUTES_OF_ELEMENT);
        }
        if attributes > MAX_ATTRIBUTES_OF_MESSAGE {
            return too_large("attributes", MAX_ATTRIBUTES_OF_MESSAGE);
        }
    }
    Ok(())
}

/// How many `=` stand before a quote, with or without white space between.
fn attributes_in(tag: &[u8]) -> usize {
    let quoted = |rest: &&[u8]| matches!(rest.trim_ascii_start().first(), Some(b'"' | b'\''));
    tag.split(|&byte| byte == b'=').skip(1).filter(quoted).count()
}

fn require_absolute_namespaces(element: &Element<'_>) -> Result<(), DocumentError> {
    for (prefix, uri) in &element.namespace_declarations {
        if prefix == "xml" || prefix == "xmlns" || !is_absolute(uri) {
            return Err(DocumentError::BadNamespace { prefix: shown(prefix), uri: shown(uri) });
        }
    }
    Ok(())
}

/// True for a scheme and something behind it (RFC 3986 §3.1): canonicalisation is defined for no other namespace.
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let begins = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let goes_on = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    begins && goes_on && !rest.is_empty() && !uri.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// The name of an element: namespace and local part, both exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) space: &'static str,
    pub(crate) local: &'static str,
}

/// What stands in an element that should hold text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotText {
    /// An element.
    Element,
    /// A comment.
    Comment,
}

/// An element of a tree.
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    document: &'t Document<'t>,
    id: NodeId,
}

impl<'t> Node<'t> {
    pub(crate) fn document(self) -> &'t Document<'t> {
        self.document
    }

    pub(crate) fn id(self) -> NodeId {
        self.id
    }

    fn element(self) -> Option<&'t Element<'t>> {
        self.document.element(self.id)
    }

    pub(crate) fn is(self, name: Name) -> bool {
        self.space() == name.space && self.local() == name.local
    }

    /// The namespace; empty if it has none.
    pub(crate) fn space(self) -> &'t str {
        self.element().and_then(|element| element.name.namespace_uri.as_deref()).unwrap_or_default()
    }

    pub(crate) fn local(self) -> &'t str {
        self.element().map_or("", |element| &element.name.local_name)
    }

    /// The value of the attribute that has this name and no namespace.
    pub(crate) fn attribute(self, name: &str) -> Option<&'t str> {
        self.attributes().find(|one| one.space.is_empty() && one.local == name).map(|one| one.value)
    }

    /// The value of the attribute of a namespace.
    pub(crate) fn attribute_of(self, space: &str, name: &str) -> Option<&'t str> {
        self.attributes().find(|one| one.space == space && one.local == name).map(|one| one.value)
    }

    pub(crate) fn attributes(self) -> impl Iterator<Item = Pair<'t>> {
        let attributes = self.element().map(|element| element.attributes.as_slice()).unwrap_or_default();
        attributes.iter().map(|attribute| Pair {
            space: attribute.name.namespace_uri.as_deref().unwrap_or_default(),
            local: &attribute.name.local_name,
            value: &attribute.value,
        })
    }

    /// Child elements, in order.
    pub(crate) fn children(self) -> impl Iterator<Item = Node<'t>> {
        let document = self.document;
        document
            .children_iter(self.id)
            .filter(move |&id| document.element(id).is_some())
            .map(move |id| Node { document, id })
    }

    pub(crate) fn child(self, name: Name) -> Option<Node<'t>> {
        self.children().find(|child| child.is(name))
    }

    pub(crate) fn all(self, name: Name) -> impl Iterator<Item = Node<'t>> {
        self.children().filter(move |child| child.is(name))
    }

    /// Where it stands in the text that was parsed, in bytes.
    pub(crate) fn range(self) -> Option<std::ops::Range<usize>> {
        self.document.node_range(self.id)
    }

    /// The element with this id, this one or one within.
    pub(crate) fn with_id(self, id: &str) -> Option<Node<'t>> {
        if self.attribute("ID") == Some(id) {
            return Some(self);
        }
        self.children().find_map(|child| child.with_id(id))
    }

    /// Whether anything but white space, elements and comments stands directly in it.
    pub(crate) fn has_text_between(self) -> bool {
        self.document.children_iter(self.id).any(|id| match self.document.node_kind(id) {
            Some(NodeKind::Text(text)) => !text.trim_matches(is_xml_space).is_empty(),
            _ => false,
        })
    }

    /// All of its text, if text is all that it holds.
    pub(crate) fn text(self) -> Result<String, NotText> {
        let mut whole = String::new();
        for id in self.document.children_iter(self.id) {
            match self.document.node_kind(id) {
                Some(NodeKind::Text(text)) => whole.push_str(text),
                Some(NodeKind::Element(_)) => return Err(NotText::Element),
                _ => return Err(NotText::Comment),
            }
        }
        Ok(whole)
    }

    /// The namespaces in scope, innermost first: a prefix that stands twice means its first.
    pub(crate) fn namespaces(self) -> Vec<(&'t str, &'t str)> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        let mut at = Some(self.id);
        while let Some(id) = at {
            let declared =
                self.document.element(id).map(|e| e.namespace_declarations.as_slice()).unwrap_or_default();
            for (prefix, uri) in declared {
                if !found.iter().any(|(known, _)| known == prefix) {
                    found.push((prefix, uri));
                }
            }
            at = self.document.parent(id);
        }
        found
    }
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'t> {
    pub(crate) space: &'t str,
    pub(crate) local: &'t str,
    pub(crate) value: &'t str,
}

/// White space of XML (XML 1.0 §2.3), which is less than that of Unicode.
pub(crate) fn is_xml_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
