//! What a refused message broke: code, section, expected, received, advice.
//!
//! Here so that a trace can show any refusal of this room in one shape, while each module keeps an exact error enum.

use std::fmt::Display;

use thiserror::Error;

use crate::attribute::AttributeError;
use crate::binding::BindingError;
use crate::document::DocumentError;
use crate::encoding::shown;
use crate::encryption::DecryptionError;
use crate::logout::LogoutError;
use crate::metadata::MetadataError;
use crate::response::ResponseError;
use crate::shape::ShapeError;
use crate::signature::SignatureError;
use crate::subject::SubjectError;

/// One broken rule, ready to be shown to an administrator. Holds no secret: no key, no assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// Stable, `snake_case`; scripts may rely on it.
    pub code: &'static str,
    /// The section of the standard that was broken.
    pub section: &'static str,
    /// What an administrator can do about it.
    pub advice: &'static str,
    /// What would have passed, where that can be said.
    pub expected: Option<String>,
    /// What came, cut to a length fit for a trace.
    pub received: Option<String>,
}

impl BrokenRule {
    pub(crate) fn new(code: &'static str, section: &'static str, advice: &'static str) -> Self {
        Self { code, section, advice, expected: None, received: None }
    }

    pub(crate) fn expected(mut self, expected: impl Display) -> Self {
        self.expected = Some(shown(&expected.to_string()));
        self
    }

    pub(crate) fn received(mut self, received: impl Display) -> Self {
        self.received = Some(shown(&received.to_string()));
        self
    }
}

/// Any refusal of a message or of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Form or query.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// Bytes that are no tree.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A tree of another shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An encrypted assertion.
    #[error(transparent)]
    Decryption(#[from] DecryptionError),
    /// What a response says.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// Who a response speaks of.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// What it says of them.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// What a logout message says.
    #[error(transparent)]
    Logout(#[from] LogoutError),
    /// The provider's metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Refusal {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::Binding(error) => error.broken(),
            Self::Document(error) => error.broken(),
            Self::Shape(error) => error.broken(),
            Self::Signature(error) => error.broken(),
            Self::Decryption(error) => error.broken(),
            Self::Response(error) => error.broken(),
            Self::Subject(error) => error.broken(),
            Self::Attribute(error) => error.broken(),
            Self::Logout(error) => error.broken(),
            Self::Metadata(error) => error.broken(),
        }
    }

    /// True if no configured certificate verifies a signature: the provider may have a new one, and its metadata is
    /// worth one look.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Signature(SignatureError::NotTrusted { .. } | SignatureError::NoCertificate))
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.broken().code
    }
}
