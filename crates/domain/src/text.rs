//! Texts that are keys: slugs, e-mail addresses and user names.
//!
//! A text is normalised once, here; the databases compare bytes only. What people wrote is kept beside its key.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use crate::refusal::refusals;
use crate::role::BuiltInRole;

/// The longest slug, in bytes: it stands in URLs and proxy headers.
pub const MAX_SLUG: usize = 63;
/// The longest human-readable name, in bytes.
pub const MAX_NAME: usize = 256;
/// The longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3 allows 254 in a path).
pub const MAX_EMAIL: usize = 254;
/// The longest identifier that a directory or an identity provider may give, in bytes.
pub const MAX_IDENTIFIER: usize = 1024;

refusals! {
    /// Why a text was refused.
    #[derive(Copy)]
    TextError {
        Slug = "invalid_slug",
            "a slug has 1 to 63 of `a`–`z`, `0`–`9` and `-`, and begins and ends with a letter or digit";
        Email = "invalid_email", "not an e-mail address of at most 254 bytes";
        Domain = "invalid_domain", "not a domain name such as `example.com`";
        Name = "invalid_name", "a name has 1 to 256 bytes and no control characters";
    }
}

/// The text is none of a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the texts that there are")]
pub struct UnknownText;

/// An enum whose variants are texts, each written once: what the API and the database say, and read again.
macro_rules! texts {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$inner:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every one, in the order of the list.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            /// The text in the API and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::text::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or($crate::text::UnknownText)
            }
        }
    };
}
pub(crate) use texts;

/// The same, each with what it means in a sentence, which is its documentation too.
macro_rules! explained {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($variant:ident = $text:literal, $meaning:literal;)*
        }
    ) => {
        $crate::text::texts! {
            $(#[$meta])*
            pub enum $name {
                $(#[doc = $meaning] $variant = $text,)*
            }
        }

        impl $name {
            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }
    };
}
pub(crate) use explained;

/// A short name in URLs and headers, unique within an organization and never changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment that every organization has.
    #[must_use]
    pub fn production() -> Self {
        Self::ours("production")
    }

    /// The role that only people give.
    #[must_use]
    pub fn owner() -> Self {
        BuiltInRole::Owner.slug()
    }

    /// One that the product itself gives.
    pub(crate) fn ours(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl FromStr for Slug {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends = bytes.first().copied().is_some_and(inner) && bytes.last().copied().is_some_and(inner);
        if !ends || bytes.len() > MAX_SLUG || !bytes.iter().all(|b| inner(*b) || *b == b'-') {
            return Err(TextError::Slug);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The form in which texts are compared whose case does not matter: lower case and composed (NFC), so that a letter with an
/// accent is one letter however it was typed (RFC 8265 §3.3, without its mapping of widths:
/// `docs/decisions/0061-names-are-compared-composed-and-in-lower-case.md`).
fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().nfc().collect() }
}

/// A text in which a letter with an accent is one letter, however it was typed (NFC), with its case.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// The key of a user name or display name: trimmed, lower case and composed (RFC 7643 §4.1.1: not case exact).
#[must_use]
pub fn name_key(text: &str) -> String {
    fold(text.trim())
}

/// The key of an e-mail address: the whole address, composed and in lower case.
///
/// # Errors
/// [`TextError::Email`] if the text has no local part, no dotted domain, blanks, control characters or too many bytes.
pub fn email_key(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let marks = |c: char| matches!(c, '<' | '>' | '"' | ',' | ';');
    let odd = |c: char| c.is_control() || c.is_whitespace() || marks(c);
    let odd_byte = |b: u8| !b.is_ascii_graphic() || marks(b.into());
    let is_odd = if text.is_ascii() { text.bytes().any(odd_byte) } else { text.chars().any(odd) };
    if text.len() > MAX_EMAIL || is_odd {
        return Err(TextError::Email);
    }
    let (local, domain) = text.rsplit_once('@').ok_or(TextError::Email)?;
    if local.is_empty() || local.contains('@') {
        return Err(TextError::Email);
    }
    if text.is_ascii() {
        // Nearly every address, and each is asked for many times: one allocation.
        let key = text.trim_end_matches('.').to_ascii_lowercase();
        let is_one = key.split_once('@').is_some_and(|(_, domain)| is_domain(domain));
        return if is_one { Ok(key) } else { Err(TextError::Email) };
    }
    let domain = domain_key(domain).map_err(|_| TextError::Email)?;
    Ok(format!("{}@{domain}", fold(local)))
}

/// The domain part of an e-mail key.
#[must_use]
pub fn domain_of(email_key: &str) -> &str {
    email_key.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// The key of a domain: lower case ASCII labels with at least one dot. International names come in their `xn--` form.
///
/// # Errors
/// [`TextError::Domain`] if it is anything else.
pub fn domain_key(text: &str) -> Result<String, TextError> {
    let text = text.trim().trim_end_matches('.');
    let lower = if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() };
    if is_domain(&lower) { Ok(lower) } else { Err(TextError::Domain) }
}

/// Whether a text in lower case is a domain of several labels (RFC 1123 §2.1).
fn is_domain(lower: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    lower.len() <= 253 && lower.contains('.') && lower.split('.').all(label)
}

/// A human-readable name, trimmed.
///
/// # Errors
/// [`TextError::Name`] if it is empty, too long or has control characters.
pub fn name(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(TextError::Name);
    }
    Ok(text.to_owned())
}

/// A JSON value as text. By its own writer: the formatter takes each piece by itself, and grows the text for it.
#[must_use]
pub fn json_text(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// Whether a text holds U+0000, which PostgreSQL cannot store and no name needs.
#[must_use]
pub fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
