//! The identity provider's side, as far as our own stand-in needs it: signing what it wrote, and sending it.
//!
//! Here beside the verifying code because both canonicalise alike. What it writes is the stand-in's business; nothing
//! of the service provider's side calls this.

use crate::binding::{Binding, MessageKind, Outgoing};
use crate::document::{MESSAGE, Tree};
use crate::draft::{Draft, Way, signature};
use crate::key::OwnKey;
use crate::names as n;
use crate::request::RequestError;
use crate::signature::canonical;

/// `xml` with an enveloped signature in the element that has this `ID`: behind its `Issuer`, else as its first child.
/// An assertion is signed before the response around it.
///
/// # Errors
/// [`RequestError`].
pub fn sign(xml: &str, id: &str, key: &OwnKey) -> Result<String, RequestError> {
    let unwritable = || RequestError::Unwritable { name: "message" };
    let tree = Tree::parse(xml.as_bytes(), &MESSAGE).map_err(|_| unwritable())?;
    let element = tree.root().and_then(|root| root.with_id(id)).ok_or_else(unwritable)?;
    let octets = canonical(element, None, &[]).map_err(|_| unwritable())?;
    let first = element.children().next().ok_or_else(unwritable)?;
    let range = first.range().ok_or_else(unwritable)?;
    let at = if first.is(n::ISSUER) { range.end } else { range.start };
    let (head, tail) = xml.split_at_checked(at).ok_or_else(unwritable)?;
    Ok(format!("{head}{}{tail}", signature(id, &octets, key)?))
}

/// A message that the provider sends by the browser. In a query it is signed by `signer`; in a form it is sent as it
/// is, with the signature that [`sign`] gave it.
#[derive(Debug, Clone, Copy)]
pub struct Dispatch<'a> {
    /// The whole message.
    pub xml: &'a str,
    /// Which of the two it is.
    pub kind: MessageKind,
    /// How it is sent.
    pub binding: Binding,
    /// Where to.
    pub destination: &'a str,
    /// What goes with it.
    pub relay_state: Option<&'a str>,
}

/// Makes a message ready for the browser.
///
/// # Errors
/// [`RequestError`].
pub fn send(dispatch: &Dispatch<'_>, signer: Option<&OwnKey>) -> Result<Outgoing, RequestError> {
    let Dispatch { xml, kind, binding, destination, relay_state } = *dispatch;
    let draft = Draft { id: String::new(), head: xml.to_owned(), tail: String::new() };
    let signer = signer.filter(|_| binding == Binding::Redirect);
    draft.send(&Way { kind, binding, destination, relay_state }, signer)
}
