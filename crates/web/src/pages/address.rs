//! Addresses as people type them: the field that takes one, and what is read from it.
//!
//! The form around the field has `novalidate`: browsers hold back an address whose local part is beyond ASCII, which there are
//! (RFC 6531), and some one whose domain is. What an address is, the server says alone.

use maud::{Markup, html};
use portcullis_domain::text::MAX_EMAIL;
use url::Host;

/// Where a page's typing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    /// In the field.
    Here,
    /// In another one.
    Elsewhere,
}

/// The field, with what was typed into it before. Its form has `novalidate`.
pub(super) fn address_field(typed: &str, focus: Focus) -> Markup {
    html! {
        input #email type="email" name="email" autocomplete="username" required maxlength=(MAX_EMAIL)
            autocapitalize="none" autocorrect="off" spellcheck="false" value=(typed) autofocus[focus == Focus::Here];
    }
}

/// An address as it was typed, its domain in the form that is compared: international names have an `xn--` form (UTS #46), and
/// browsers turn some into it and others not.
pub(crate) fn read(typed: &str) -> String {
    let typed = typed.trim();
    let Some((local, domain)) = typed.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii()) else {
        return typed.to_owned();
    };
    match Host::parse(domain) {
        Ok(Host::Domain(domain)) => format!("{local}@{domain}"),
        _ => typed.to_owned(),
    }
}
