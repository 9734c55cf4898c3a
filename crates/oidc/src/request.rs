//! The authorization request: where the browser is sent, and the two values that tie its return to it.
//!
//! Here so that state, nonce and PKCE cannot be left out: the URL is made from all of them or not at all
//! (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::discovery::ProviderMetadata;
use crate::encoding::{base64url, equal_in_constant_time};
use crate::pkce::CodeChallenge;

/// What this room writes into the query; a provider's endpoint may bring none of them.
pub(crate) const RESERVED_PARAMETERS: [&str; 15] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "prompt",
    "max_age",
    "acr_values",
    "request",
    "request_uri",
];

macro_rules! browser_bound_value {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// A fresh value from 32 random bytes.
            #[must_use]
            pub fn from_random(bytes: &[u8; 32]) -> Self {
                Self(SecretString::from(base64url(bytes)))
            }

            /// The value that was stored with the pending sign-in.
            #[must_use]
            pub fn from_stored(text: &str) -> Self {
                Self(SecretString::from(text.to_owned()))
            }

            /// The value, for storing and for the request.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Whether `received` is this value; an empty one never is. Takes no longer for a near miss.
            #[must_use]
            pub fn matches(&self, received: &str) -> bool {
                !received.is_empty() && equal_in_constant_time(self.expose(), received)
            }
        }
    };
}

browser_bound_value! {
    /// Ties the answer to the browser and the connection that asked (RFC 6749 §10.12). Single use.
    State
}

browser_bound_value! {
    /// Ties the ID token to this request (OpenID Connect Core §15.5.2). Single use.
    Nonce
}

/// What the provider may show (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing: answer from a running session or with an error.
    Silent,
    /// Ask for authentication again.
    Login,
    /// Ask for consent again.
    Consent,
    /// Let the person choose among accounts.
    SelectAccount,
}

impl Prompt {
    fn name(self) -> &'static str {
        match self {
            Self::Silent => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// How the provider's answer comes back (OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of a redirect, as is usual where nothing is said.
    Query,
    /// In a form that the browser posts.
    FormPost,
}

/// One authorization request.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest<'a> {
    /// Our id at the provider.
    pub client_id: &'a str,
    /// Of this connection and no other: the second line against mix-up (RFC 9700 §4.4.2).
    pub redirect_uri: &'a str,
    /// Scopes beside `openid`, which is always sent.
    pub scopes: &'a [&'a str],
    /// Stored with connection and browser.
    pub state: &'a State,
    /// Stored with them.
    pub nonce: &'a Nonce,
    /// Its verifier is stored with them.
    pub challenge: &'a CodeChallenge,
    /// The address that the person typed, if any.
    pub login_hint: Option<&'a str>,
    /// What the provider may show.
    pub prompt: Option<Prompt>,
    /// Greatest age of the authentication, in seconds; checked again in the ID token.
    pub max_age_s: Option<u32>,
    /// Classes of authentication of which one must have been used; checked again in the ID token. None asks for nothing.
    pub acr_values: &'a [String],
    /// How the answer comes back.
    pub response_mode: ResponseMode,
}

impl AuthorizationRequest<'_> {
    /// The URL to send the browser to. A query that the endpoint has stays (RFC 6749 §3.1).
    #[must_use]
    pub fn url(&self, metadata: &ProviderMetadata) -> Url {
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs(self.parameters());
        url
    }

    /// What it says, in order.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.client_id.to_owned()),
            ("redirect_uri", self.redirect_uri.to_owned()),
            ("scope", self.scope()),
            ("state", self.state.expose().to_owned()),
            ("nonce", self.nonce.expose().to_owned()),
            ("code_challenge", self.challenge.as_str().to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ];
        let acr_values = (!self.acr_values.is_empty()).then(|| self.acr_values.join(" "));
        let form_post = (self.response_mode == ResponseMode::FormPost).then(|| "form_post".to_owned());
        let others = [
            ("login_hint", self.login_hint.map(str::to_owned)),
            ("prompt", self.prompt.map(|prompt| prompt.name().to_owned())),
            ("max_age", self.max_age_s.map(|max_age_s| max_age_s.to_string())),
            ("acr_values", acr_values),
            ("response_mode", form_post),
        ];
        all.extend(others.into_iter().filter_map(|(name, value)| Some((name, value?))));
        all
    }

    fn scope(&self) -> String {
        let others = self.scopes.iter().copied().filter(|scope| *scope != "openid");
        std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ")
    }
}
