//! A relying party of a few lines: each step of a sign-in over HTTP, refusals by the rules of the OIDC room.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use portcullis_emulator::{
    Browser, Company, GroupValues, KeyKind, OidcProvider, ProviderSettings, RegisteredClient, Surroundings,
};
use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::client_auth::{Client, ClientProof};
use portcullis_oidc::discovery::{self, ProviderMetadata};
use portcullis_oidc::id_token::{self, IdTokenRules};
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::jwks::KeySet;
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::refusal::Refusal;
use portcullis_oidc::request::{AuthorizationRequest, Nonce, ResponseMode, State};
use portcullis_oidc::token::{FORM_CONTENT_TYPE, TokenRequest, TokenResponse};
use portcullis_oidc::userinfo;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use url::Url;

pub(crate) const NOW: i64 = 1_795_300_000;
pub(crate) const CLIENT_ID: &str = "portcullis";
pub(crate) const SECRET: &str = "a-secret-for-tests";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:1/sso/oidc/con_1/callback";

/// A clock that a test turns.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn turn(&self, by_s: i64) {
        self.0.fetch_add(by_s, Ordering::Relaxed);
    }
}

pub(crate) async fn start(key_kind: KeyKind, group_values: GroupValues) -> (OidcProvider, TestClock) {
    let clock = TestClock(Arc::new(AtomicI64::new(NOW)));
    let reading = clock.clone();
    let settings = ProviderSettings {
        company: Company::sample("acme.example", 12),
        clients: vec![RegisteredClient {
            id: CLIENT_ID.to_owned(),
            secret: SecretString::from(SECRET),
            jwks_uri: None,
            redirect_uris: vec![REDIRECT.to_owned()],
        }],
        key_kind,
        group_values,
        surroundings: Surroundings::predictable(move || reading.0.load(Ordering::Relaxed), 7),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (OidcProvider::start(listener, settings).unwrap(), clock)
}

pub(crate) async fn honest() -> OidcProvider {
    start(KeyKind::Es256, GroupValues::DisplayNames).await.0
}

pub(crate) async fn fetch(url: &Url) -> Vec<u8> {
    reqwest::Client::new().get(url.clone()).send().await.unwrap().bytes().await.unwrap().to_vec()
}

pub(crate) struct RelyingParty {
    pub(crate) metadata: ProviderMetadata,
    pub(crate) keys: KeySet,
    pub(crate) state: State,
    pub(crate) nonce: Nonce,
    pub(crate) verifier: CodeVerifier,
    pub(crate) secret: SecretString,
}

impl RelyingParty {
    pub(crate) async fn discover(issuer: &str) -> Result<Self, Refusal> {
        let body = fetch(&discovery::metadata_url(issuer, Insecure::Permitted)?).await;
        let metadata = discovery::parse(&body, issuer, Insecure::Permitted)?;
        let keys = KeySet::parse(&fetch(&metadata.jwks_uri).await)?;
        Ok(Self {
            metadata,
            keys,
            state: State::from_random(&[1; 32]),
            nonce: Nonce::from_random(&[2; 32]),
            verifier: CodeVerifier::from_random(&[3; 32]),
            secret: SecretString::from(SECRET),
        })
    }

    pub(crate) fn request_url(&self, login_hint: Option<&str>) -> Url {
        AuthorizationRequest {
            client_id: CLIENT_ID,
            redirect_uri: REDIRECT,
            scopes: &["email", "profile", "groups"],
            state: &self.state,
            nonce: &self.nonce,
            challenge: &self.verifier.challenge(),
            login_hint,
            prompt: None,
            max_age_s: None,
            acr_values: &[],
            response_mode: ResponseMode::Query,
        }
        .url(&self.metadata)
    }

    /// Where the provider sends the browser.
    pub(crate) async fn authorize(&self, login_hint: &str) -> Url {
        let mut browser = Browser::new().unwrap();
        browser.step(self.request_url(Some(login_hint)).as_str()).await.unwrap().1.unwrap()
    }

    pub(crate) fn code(&self, callback: &Url) -> Result<SecretString, Refusal> {
        let pending = PendingSignIn {
            state: &self.state,
            connection: "con_1",
            called_connection: "con_1",
            issuer: &self.metadata.issuer,
            iss_parameter: self.metadata.iss_parameter,
        };
        Ok(Callback::parse(callback.query().unwrap_or_default())?.verify(&pending)?)
    }

    pub(crate) async fn exchange(&self, code: &SecretString) -> Result<TokenResponse, Refusal> {
        let client = Client { id: CLIENT_ID, proof: ClientProof::Basic(&self.secret) };
        let request = TokenRequest::for_code(&self.metadata, client, code, &self.verifier, REDIRECT);
        let response = reqwest::Client::new()
            .post(request.url)
            .header("authorization", request.authorization.unwrap().expose_secret())
            .header("content-type", FORM_CONTENT_TYPE)
            .body(request.body.expose_secret().to_owned())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        Ok(TokenResponse::parse(status, &response.bytes().await.unwrap())?)
    }

    pub(crate) fn verify(&self, tokens: &TokenResponse) -> Result<IdentityClaims, Refusal> {
        Ok(id_token::verify(
            tokens.id_token.expose_secret(),
            &self.keys,
            &IdTokenRules {
                issuer: &self.metadata.issuer,
                client_id: CLIENT_ID,
                trusted_audiences: &[],
                algs: &self.metadata.id_token_algs,
                nonce: &self.nonce,
                access_token: tokens.access_token.expose_secret(),
                max_age_s: None,
                proven_since: None,
                acr_values: &[],
                now: NOW,
            },
        )?)
    }

    pub(crate) async fn ask_userinfo(
        &self,
        claims: IdentityClaims,
        tokens: &TokenResponse,
    ) -> Result<IdentityClaims, Refusal> {
        let response = reqwest::Client::new()
            .get(self.metadata.userinfo_endpoint.clone().unwrap())
            .header("authorization", format!("Bearer {}", tokens.access_token.expose_secret()))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        Ok(userinfo::add(claims, status, &response.bytes().await.unwrap())?)
    }
}

/// The whole sign-in, from discovery to claims.
pub(crate) async fn sign_in(issuer: &str, login_hint: &str) -> Result<IdentityClaims, Refusal> {
    let party = RelyingParty::discover(issuer).await?;
    let callback = party.authorize(login_hint).await;
    let tokens = party.exchange(&party.code(&callback)?).await?;
    let claims = party.verify(&tokens)?;
    party.ask_userinfo(claims, &tokens).await
}
