//! OIDC and OAuth messages, JOSE, token rules, for both sides. Pure.
//!
//! Bytes, configuration, the time (seconds since 1970, UTC) and randomness come in; verdicts go out. Nothing here
//! opens a socket, reads a clock or asks the system for randomness, so every rule can be tried with a table. The
//! callers are `service` (as relying party, later as provider) and `emulator` (the identity provider's side).
//!
//! # The order of checks at a callback
//!
//! | # | What | Where |
//! |---|---|---|
//! | 1 | `state` is the stored one, of this connection | [`callback`] |
//! | 2 | `iss` of the answer is the connection's issuer (RFC 9207) | [`callback`] |
//! | 3 | `error` of the answer | [`callback`] |
//! | 4 | code for tokens, only at the discovered endpoint, with PKCE S256 | [`token`] |
//! | 5 | algorithm, type, key, signature | [`id_token`], [`jwks`] |
//! | 6 | `iss`, `aud`, `azp`, `exp`, `iat`, `nbf`, `nonce` | [`id_token`] |
//! | 7 | `at_hash` | [`id_token`] |
//! | 8 | `sub` | [`id_token`] |
//! | 9 | UserInfo speaks of the same `sub` | [`userinfo`] |
//! | 10 | groups, e-mail and its trust, external people | [`claims`] |
//!
//! How a client proves itself at the token endpoint is in [`client_auth`], the certificate that shows its key in
//! [`certificate`]; where a request is pushed before the browser
//! leaves, [`pushed_request`] has both sides of that call.
//!
//! What a provider says later about a session that began so is checked by [`logout_token`], in the same order;
//! how a browser is sent there to end the provider's own session is in [`end_session`].
//!
//! # Rules of this room
//!
//! - [`claims::IdentityClaims`] exists only for a verified token: nothing else can make one.
//! - Each module has an exact error enum; [`refusal::Refusal`] holds any of them. Each answers
//!   [`refusal::BrokenRule`]: a stable code, the section, what was expected and what came, never a secret.
//! - What arrives is bounded before it is parsed; each bound is a named constant.
//! - Missing is not empty: an absent groups claim, an overage marker and an empty list are three answers.

pub mod algorithm;
pub mod callback;
pub mod certificate;
pub mod claims;
pub mod client_auth;
pub mod discovery;
pub mod end_session;
pub mod graph;
pub mod id_token;
pub mod introspection;
pub mod issuer;
pub mod jwk;
pub mod jwks;
pub mod jws;
pub mod logout_token;
pub mod oauth_error;
pub mod pkce;
pub mod preset;
pub mod provider;
pub mod pushed_request;
pub mod refusal;
pub mod request;
pub mod token;
pub mod token_endpoint;
pub mod userinfo;

mod encoding;
