//! A SCIM client as an identity provider runs one.
//!
//! Here so that demo, drill and tests provision over HTTP only. It answers what a person at the provider's side sees:
//! status, request id, time taken, body. A refusal is an answer, not an error.

use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::http_client::{self, HttpError};
use crate::people::{Group, Person, PersonState};
use crate::request::ScimRequest;
use crate::surroundings::Surroundings;

/// What is kept of a body that is not JSON: enough to recognize a page of somebody else's server.
const MAX_KEPT_TEXT_BYTES: usize = 2_000;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-Id`: the name under which the other side remembers this call.
    pub request_id: Option<String>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// From sending to the last byte.
    pub elapsed: Duration,
    /// The body, if it is JSON.
    pub body: Option<Value>,
    /// The first bytes of a body that is not JSON, as text.
    pub text: Option<String>,
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The `id` of the resource in the body.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.body.as_ref()?.get("id")?.as_str()
    }

    /// The resources of a list.
    #[must_use]
    pub fn resources(&self) -> &[Value] {
        let resources = self.body.as_ref().and_then(|body| body.get("Resources")).and_then(Value::as_array);
        resources.map_or(&[], Vec::as_slice)
    }

    /// The `id` of the only resource of a list.
    #[must_use]
    pub fn found_id(&self) -> Option<&str> {
        match self.resources() {
            [only] => only.get("id")?.as_str(),
            _ => None,
        }
    }
}

/// A directory's client.
#[derive(Debug, Clone)]
pub struct ScimClient {
    http: reqwest::Client,
    base_url: String,
    token: SecretString,
    dialect: Dialect,
    surroundings: Surroundings,
}

impl ScimClient {
    /// `base_url` and `token` as the directory was created with.
    ///
    /// # Errors
    /// [`HttpError`] if the URL is none or no client can be made.
    pub fn new(
        base_url: &str,
        token: SecretString,
        dialect: Dialect,
        surroundings: Surroundings,
    ) -> Result<Self, HttpError> {
        Self::trusting(base_url, token, dialect, surroundings, Vec::new())
    }

    /// The same; authorities of one's own are trusted beside the public ones.
    ///
    /// # Errors
    /// [`HttpError`] if the URL is none or no client can be made.
    pub fn trusting(
        base_url: &str,
        token: SecretString,
        dialect: Dialect,
        surroundings: Surroundings,
        authorities: Vec<Certificate>,
    ) -> Result<Self, HttpError> {
        http_client::parse_url(base_url)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { http: http_client::client_trusting(authorities)?, base_url, token, dialect, surroundings })
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        Self { token, ..self.clone() }
    }

    /// Whose spelling it sends.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn token(&self) -> &str {
        self.token.expose_secret()
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Creates somebody.
    ///
    /// # Errors
    /// [`HttpError`], here and below, only if no answer came.
    pub async fn create_user(&self, person: &Person) -> Result<Answer, HttpError> {
        self.send(&self.dialect.create_user(person)).await
    }

    /// Looks somebody up by user name.
    pub async fn find_user(&self, user_name: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.find_user(user_name)).await
    }

    /// Reads somebody.
    pub async fn read_user(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.read_user(id)).await
    }

    /// Replaces somebody whole (PUT).
    pub async fn replace_user(&self, id: &str, person: &Person) -> Result<Answer, HttpError> {
        self.send(&self.dialect.replace_user(id, person)).await
    }

    /// Changes names and address (PATCH).
    pub async fn update_user(&self, id: &str, person: &Person) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_user(id, self.dialect.update_user(person))).await
    }

    /// Says `active:false` in the dialect's way, by PATCH.
    pub async fn deactivate(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_user(id, self.dialect.set_active(PersonState::Deactivated))).await
    }

    /// Says `active:true` in the dialect's way, by PATCH.
    pub async fn reactivate(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_user(id, self.dialect.set_active(PersonState::Active))).await
    }

    /// Deletes somebody.
    pub async fn delete_user(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.delete_user(id)).await
    }

    /// Creates a group with members by their SCIM ids.
    pub async fn create_group(&self, group: &Group, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.send(&self.dialect.create_group(group, member_ids)).await
    }

    /// Looks a group up by name; Entra leaves the members out.
    pub async fn find_group(&self, display_name: &str) -> Result<Answer, HttpError> {
        self.send(&self.dialect.find_group(display_name)).await
    }

    /// Gives a group another name.
    pub async fn rename_group(&self, id: &str, group: &Group) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_group(id, self.dialect.rename_group(id, group))).await
    }

    /// Adds members.
    pub async fn add_members(&self, id: &str, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_group(id, self.dialect.add_members(member_ids))).await
    }

    /// Removes members.
    pub async fn remove_members(&self, id: &str, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.send(&self.dialect.patch_group(id, self.dialect.remove_members(member_ids))).await
    }

    /// Sets the whole list of members (PATCH).
    pub async fn replace_members(
        &self,
        id: &str,
        display_name: &str,
        member_ids: &[String],
    ) -> Result<Answer, HttpError> {
        let body = self.dialect.replace_members(id, display_name, member_ids);
        self.send(&self.dialect.patch_group(id, body)).await
    }

    /// Any request.
    pub async fn send(&self, request: &ScimRequest) -> Result<Answer, HttpError> {
        self.send_with(request, &[]).await
    }

    /// Any request, with these headers besides.
    pub async fn send_with(
        &self,
        request: &ScimRequest,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, HttpError> {
        let url = http_client::parse_url(&format!("{}{}", self.base_url, request.target(self.dialect)))?;
        let began = self.surroundings.monotonic();
        let mut sent = self
            .http
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose_secret()))
            .header(USER_AGENT, self.dialect.user_agent())
            .header(ACCEPT, self.dialect.accept());
        for (name, value) in headers {
            sent = sent.header(*name, *value);
        }
        if let Some(body) = &request.body {
            let media_type = request.media_type.unwrap_or_else(|| self.dialect.content_type());
            sent = sent.header(CONTENT_TYPE, media_type).body(body.to_string());
        }
        let response = sent.send().await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let mut answer = Answer {
            status: response.status().as_u16(),
            request_id: header("x-request-id"),
            retry_after_s: header("retry-after").and_then(|text| text.parse().ok()),
            etag: header("etag"),
            location: header("location"),
            content_type: header("content-type"),
            elapsed: Duration::ZERO,
            body: None,
            text: None,
        };
        let body = http_client::bounded_body(response).await?;
        answer.elapsed = self.surroundings.monotonic().saturating_sub(began);
        answer.body = serde_json::from_slice(&body).ok();
        if answer.body.is_none() && !body.is_empty() {
            let start = body.get(..MAX_KEPT_TEXT_BYTES).unwrap_or(&body);
            answer.text = Some(String::from_utf8_lossy(start).into_owned());
        }
        Ok(answer)
    }
}
