//! OpenID Connect as the protocol of a connection: how this side proves itself to the provider, how requests and answers
//! travel, and what is asked of a person's authentication.
//!
//! Here apart from the connection, because only this kind of connection has it. What nobody set is as usual, so that a
//! connection without any of it needs no row.

use serde::{Deserialize, Serialize};

use crate::connection::KeyState;
use crate::id::{ConnectionId, OrganizationId};
use crate::text::texts;
use crate::time::Timestamp;

/// How this side proves itself (OpenID Connect Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// By the secret, in a header.
    ClientSecretBasic,
    /// By the secret, in the form.
    ClientSecretPost,
    /// By a key of ours: there is no secret.
    PrivateKeyJwt,
}

/// For whom an assertion says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudience {
    /// The token endpoint's address (OpenID Connect Core §9).
    TokenEndpoint,
    /// The issuer, as newer providers want it.
    Issuer,
}

/// How the provider's answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of a redirect.
    Query,
    /// In a form that the browser posts.
    FormPost,
}

/// Which requests are pushed to the provider before the browser leaves (RFC 9126).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushedRequests {
    /// Those to a provider that takes no others.
    WhereRequired,
    /// All.
    Always,
}

/// What the provider must show the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// That they prove themselves anew.
    Login,
    /// That they consent.
    Consent,
    /// That they choose an account.
    SelectAccount,
}

/// What an administrator sets of a connection of OpenID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSettings {
    /// How this side proves itself; `None`: by the secret, as the provider offers it.
    pub client_auth: Option<ClientAuth>,
    /// For whom an assertion says that it is.
    pub assertion_audience: AssertionAudience,
    /// How the answer comes back.
    pub response_mode: ResponseMode,
    /// Which requests are pushed.
    pub pushed_requests: PushedRequests,
    /// What the provider must show the person.
    pub prompt: Option<Prompt>,
    /// Greatest age of the person's authentication, in seconds.
    pub max_age_s: Option<u32>,
    /// The classes of authentication of which one must have been used; none asks for nothing.
    pub acr_values: Vec<String>,
    /// Whether the address that the person typed is sent along.
    pub login_hint: bool,
    /// Whether signing out here leads the browser to the provider, to end its session too.
    pub end_session: bool,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            client_auth: None,
            assertion_audience: AssertionAudience::TokenEndpoint,
            response_mode: ResponseMode::Query,
            pushed_requests: PushedRequests::WhereRequired,
            prompt: None,
            max_age_s: None,
            acr_values: Vec::new(),
            login_hint: true,
            end_session: false,
        }
    }
}

impl OidcSettings {
    /// Whether people must prove themselves anew at each sign-in.
    #[must_use]
    pub const fn wants_proof_anew(&self) -> bool {
        matches!(self.prompt, Some(Prompt::Login))
    }

    /// Whether a key of ours takes the place of the secret.
    #[must_use]
    pub const fn is_by_key(&self) -> bool {
        matches!(self.client_auth, Some(ClientAuth::PrivateKeyJwt))
    }
}

/// What is set of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSource {
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// What an administrator set.
    pub settings: OidcSettings,
    /// When this was last said.
    pub updated_at: Timestamp,
}

texts! {
    /// What a key of ours signs with.
    pub enum ClientKeyAlg {
        /// On P-256.
        Es256 = "ES256",
        /// RSA with 2048 bits.
        Rs256 = "RS256",
    }
}

/// What shows a key of ours to a provider that is handed certificates and reads no key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its DER form, in base64.
    pub der: String,
    /// Until when it says that it is good.
    pub not_after: Timestamp,
}

/// A key of ours at a connection: it signs what proves this side to the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its thumbprint (RFC 7638): what the key set calls it.
    pub kid: String,
    /// What it signs with.
    pub alg: ClientKeyAlg,
    /// Its public half, as JSON text of a JWK.
    pub public: String,
    /// Its certificate; the first keys had none.
    pub certificate: Option<ClientCertificate>,
    /// The key, sealed for this connection; empty once it is retired.
    pub private_sealed: String,
    /// What it is for.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientKey")
            .field("connection", &self.connection)
            .field("kid", &self.kid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
