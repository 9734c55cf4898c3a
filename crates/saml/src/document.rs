//! The one tree of a message: bounded before it is parsed, looked over once, then walked by exact names.
//!
//! Here so that nothing else of this room names the parser. A `Node` is a place in the tree; canonical bytes, checks
//! and values all come from the same one.

use thiserror::Error;
use uppsala::{Document, Element, NodeId, NodeKind, Parser};

use crate::binding::MAX_MESSAGE_BYTES;
use crate::encoding::shown;
use crate::metadata::MAX_METADATA_BYTES;
use crate::refusal::BrokenRule;

/// Deepest nesting of elements.
pub const MAX_DEPTH: u32 = 64;
/// Most characters `<` of a message, which bounds elements, comments and text nodes before anything is built: twice
/// [`crate::attribute::MAX_VALUES`] and what stands around them.
pub const MAX_MARKUP: usize = 5_000;
/// Most elements and comments of a message beside attributes, their values and indexes of sessions: a response whose
/// two signatures bring chains of certificates has some seventy. A node of the tree weighs more than its tag.
pub const MAX_FRAME: usize = 256;
/// Most bytes of a tag and the text behind it, before references are resolved: each byte that may be read
/// ([`crate::shape::MAX_TEXT_BYTES`]) can be written as a reference of eight. Ciphertext is as long as it is.
pub const MAX_RAW_TEXT_BYTES: usize = 8 * crate::shape::MAX_TEXT_BYTES;
/// Most attributes of one element, namespace declarations among them: the parser compares each with each.
pub const MAX_ATTRIBUTES_OF_ELEMENT: usize = 24;
/// Most attributes of a whole message, whatever its length.
pub const MAX_ATTRIBUTES_OF_MESSAGE: usize = 8_000;
/// Most attributes of a message beside one for each [`BYTES_OF_ATTRIBUTE`] bytes of it.
pub const MAX_SHORT_ATTRIBUTES: usize = 256;
/// Bytes of a message for which one more attribute may stand in it. Okta writes two namespaces and a type at each value,
/// which take forty bytes each.
pub const BYTES_OF_ATTRIBUTE: usize = 32;

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
        /// How many there were when the counting stopped.
        received: usize,
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
            Self::TooLarge { what, max, received } => BrokenRule::new(
                "message_too_large",
                "XML Signature Best Practices §2.1",
                "have the provider send fewer attributes or groups",
            )
            .expected(format!("at most {max} {what}"))
            .received(format!("{received} or more")),
            Self::NotUtf8 => BrokenRule::new("message_not_utf8", "XML 1.0 §4.3.3", theirs)
                .expected("UTF-8")
                .received("another encoding"),
            Self::Malformed { why } => BrokenRule::new("message_malformed", "XML 1.0 §2.1", theirs)
                .expected("well-formed XML")
                .received(why),
            Self::DocumentType => BrokenRule::new("doctype_refused", section, theirs)
                .expected("no document type declaration")
                .received("<!DOCTYPE"),
            Self::Construct { what } => BrokenRule::new("construct_refused", "SAML Core §1.3.1", theirs)
                .expected("elements, attributes and text alone")
                .received(what),
            Self::BadNamespace { prefix, uri } => {
                BrokenRule::new("namespace_refused", "Canonical XML 1.0 §1.1", theirs)
                    .expected("an absolute namespace URI")
                    .received(format!("{prefix}: {uri}"))
            }
        }
    }
}

/// What a document may hold, counted before a tree is built of it.
pub(crate) struct Bounds {
    /// Most bytes.
    max_bytes: usize,
    /// Most elements and comments beside those that may stand often.
    max_frame: usize,
    /// Local names of elements that may stand often.
    often: &'static [&'static [u8]],
    /// Most bytes of a tag and the text behind it.
    max_text_bytes: usize,
    /// The local name of elements whose text may be longer.
    long: &'static [u8],
}

/// A message and what is encrypted in it.
pub(crate) const MESSAGE: Bounds = Bounds {
    max_bytes: MAX_MESSAGE_BYTES,
    max_frame: MAX_FRAME,
    often: &[b"Attribute", b"AttributeValue", b"SessionIndex"],
    max_text_bytes: MAX_RAW_TEXT_BYTES,
    long: b"CipherValue",
};

/// Metadata, which an administrator names: no stranger sends any. Pictures stand in it as texts.
pub(crate) const METADATA: Bounds = Bounds {
    max_bytes: MAX_METADATA_BYTES,
    max_frame: MAX_MARKUP,
    often: &[],
    max_text_bytes: MAX_METADATA_BYTES,
    long: &[],
};

/// A message as one tree.
pub(crate) struct Tree<'a> {
    document: Document<'a>,
}

impl<'a> Tree<'a> {
    /// Parses what is within its bounds, and looks over every node once.
    pub(crate) fn parse(bytes: &'a [u8], bounds: &Bounds) -> Result<Self, DocumentError> {
        if bytes.len() > bounds.max_bytes {
            return Err(DocumentError::TooLarge {
                what: "bytes",
                max: bounds.max_bytes,
                received: bytes.len(),
            });
        }
        require_little_markup(bytes, bounds)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::NotUtf8)?;
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
///
/// Names are looked at to refuse only: an element counts as one that may stand often by its local name, whatever its
/// prefix means, and the tree is checked as if nothing had been looked at before.
fn require_little_markup(bytes: &[u8], bounds: &Bounds) -> Result<(), DocumentError> {
    let too_large = |what, max, received| Err(DocumentError::TooLarge { what, max, received });
    let max_attributes =
        MAX_ATTRIBUTES_OF_MESSAGE.min(MAX_SHORT_ATTRIBUTES + bytes.len() / BYTES_OF_ATTRIBUTE);
    let (mut tags, mut frame, mut attributes, mut depth) = (0, 0, 0, 0_u32);
    let mut pieces = bytes.split(|&byte| byte == b'<');
    let before = pieces.next().unwrap_or_default();
    if before.len() > bounds.max_text_bytes {
        return too_large("bytes before its first tag", bounds.max_text_bytes, before.len());
    }
    for tag in pieces {
        let of_tag = attributes_in(tag);
        tags += 1;
        attributes += of_tag;
        if tag.starts_with(b"!DOCTYPE") {
            return Err(DocumentError::DocumentType);
        }
        match Markup::of(tag) {
            Markup::Closes => depth = depth.saturating_sub(1),
            Markup::Opens => depth += 1,
            Markup::Stands => {}
        }
        if depth > MAX_DEPTH {
            return too_large("levels", MAX_DEPTH as usize, depth as usize);
        }
        let name = local_name(tag);
        if !tag.starts_with(b"/") && !bounds.often.contains(&name) {
            frame += 1;
        }
        if tag.len() > bounds.max_text_bytes && name != bounds.long {
            return too_large("bytes of one text", bounds.max_text_bytes, tag.len());
        }
        if frame > bounds.max_frame {
            return too_large("elements beside attributes", bounds.max_frame, frame);
        }
        if tags > MAX_MARKUP {
            return too_large("tags", MAX_MARKUP, tags);
        }
        if of_tag > MAX_ATTRIBUTES_OF_ELEMENT {
            return too_large("attributes of one element", MAX_ATTRIBUTES_OF_ELEMENT, of_tag);
        }
        if attributes > max_attributes {
            return too_large("attributes", max_attributes, attributes);
        }
    }
    Ok(())
}

/// What a tag does to the depth. Whoever writes `/>` into a value has it counted too low and meets the parser's own
/// bound; counted too high are tags within comments, which no provider sends.
enum Markup {
    Opens,
    Closes,
    Stands,
}

impl Markup {
    fn of(tag: &[u8]) -> Self {
        match tag.first() {
            Some(b'/') => Self::Closes,
            // A name of XML begins with a letter; the parser says what else it may be.
            Some(&first) if !first.is_ascii_alphabetic() && first != b'_' && first < 0x80 => Self::Stands,
            _ if tag.windows(2).any(|two| two == b"/>") => Self::Stands,
            _ => Self::Opens,
        }
    }
}

/// What stands between a tag's prefix and whatever follows its name.
fn local_name(tag: &[u8]) -> &[u8] {
    let ends = |&byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    let name = tag.split(ends).next().unwrap_or_default();
    name.rsplit(|&byte| byte == b':').next().unwrap_or_default()
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
        self.texts().collect()
    }

    /// How many bytes of text it holds, if text is all that it holds.
    pub(crate) fn text_bytes(self) -> Result<usize, NotText> {
        self.texts().map(|text| text.map(str::len)).sum()
    }

    fn texts(self) -> impl Iterator<Item = Result<&'t str, NotText>> {
        let document = self.document;
        document.children_iter(self.id).map(|id| match document.node_kind(id) {
            Some(NodeKind::Text(text)) => Ok(text.as_ref()),
            Some(NodeKind::Element(_)) => Err(NotText::Element),
            _ => Err(NotText::Comment),
        })
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
