//! SAML 2.0 service provider: XML, signature, assertion and logout rules. Pure.
//!
//! Bytes, configuration, the time (seconds since 1970, UTC) and identifiers made from randomness come in; verdicts go
//! out. Nothing here opens a socket, reads a clock or makes an identifier, so every rule can be tried with a table. The
//! caller is `service`; by [`provider`], tests have the stand-in of a provider.
//!
//! # The order of checks of a response
//!
//! | # | What | Where |
//! |---|---|---|
//! | 1 | one `SAMLResponse`, one `RelayState` at most, base64, size | [`binding`] |
//! | 2 | UTF-8, no DTD, bounded depth, nodes and attributes, no namespace that cannot be canonicalised | `document` |
//! | 3 | exact shape: names, order, counts, attributes, unique ids, where signatures may stand | `shape` |
//! | 4 | `Destination`, `Issuer`, `Status`, `InResponseTo` of the envelope: no key is used for a stranger | [`response`] |
//! | 5 | signatures by configured certificates, algorithm and key fitting, digests | [`signature`] |
//! | 6 | decryption, and 2, 3, 5 again for what came out | [`encryption`] |
//! | 7 | issuer, conditions, subject confirmation, statements of the verified assertion | [`response`] |
//! | 8 | subject key and attributes, read from the verified node | [`subject`], [`attribute`] |
//!
//! # Rules of this room
//!
//! - **One tree.** A message is parsed once; what is checked, canonicalised and read is the same tree, by node. There is
//!   no second parser, no search by local name and no re-serialisation.
//! - **See what is signed.** `Verified` is a node whose canonical bytes a trusted key signed; nothing but
//!   [`signature`] makes one, and assertions are read from one only. [`response::Identity`] exists only at the end of
//!   [`response::verify`].
//! - **Keys come from configuration only.** `KeyInfo` is never looked into for a key.
//! - **Fail closed.** No certificate, no signature, an unknown algorithm, an unknown condition: refused, each with a code.
//! - Each module has an exact error enum; [`refusal::Refusal`] holds any of them and answers
//!   [`refusal::BrokenRule`]: a stable code, the section, what was expected and what came, never a secret.
//! - What arrives is bounded before it is parsed; each bound is a named constant.
//! - Missing is not empty: an absent attribute, an overage marker and an empty attribute are three answers.

pub mod attribute;
pub mod binding;
pub mod certificate;
pub mod document;
pub mod encryption;
pub mod key;
pub mod logout;
pub mod metadata;
pub mod preset;
pub mod provider;
pub mod refusal;
pub mod request;
pub mod response;
pub mod shape;
pub mod signature;
pub mod sp_metadata;
pub mod subject;

mod algorithm;
mod draft;
mod encoding;
mod names;
mod time;
