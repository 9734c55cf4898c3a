//! A SCIM client as an identity provider runs one.
//!
//! Here so that demo, drill and tests provision over HTTP only. It answers what a person at the provider's side sees:
//! status, request id, time taken, body. A refusal is an answer, not an error.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::http_client::{self, HttpError};
use crate::people::{Group, Person, PersonState};
use crate::surroundings::Surroundings;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-Id`: the name under which the other side remembers this call.
    pub request_id: Option<String>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// From sending to the last byte.
    pub elapsed: Duration,
    /// The body, if it is JSON.
    pub body: Option<Value>,
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
        http_client::parse_url(base_url)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { http: http_client::client()?, base_url, token, dialect, surroundings })
    }

    /// Creates somebody.
    ///
    /// # Errors
    /// [`HttpError`], here and below, only if no answer came.
    pub async fn create_user(&self, person: &Person) -> Result<Answer, HttpError> {
        self.send(Method::POST, "/Users", &[], Some(&self.dialect.user(person))).await
    }

    /// Looks somebody up by user name.
    pub async fn find_user(&self, user_name: &str) -> Result<Answer, HttpError> {
        self.find("/Users", "userName", user_name, &[]).await
    }

    /// Reads somebody.
    pub async fn read_user(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, &format!("/Users/{id}"), &[], None).await
    }

    /// Lists people: `start_index` from 1, `count` a page.
    pub async fn list_users(&self, start_index: usize, count: usize) -> Result<Answer, HttpError> {
        let (start, count) = (start_index.to_string(), count.to_string());
        self.send(Method::GET, "/Users", &[("startIndex", &start), ("count", &count)], None).await
    }

    /// Replaces somebody whole (PUT).
    pub async fn replace_user(&self, id: &str, person: &Person) -> Result<Answer, HttpError> {
        let mut body = self.dialect.user(person);
        if let (Dialect::Okta, Some(members)) = (self.dialect, body.as_object_mut()) {
            members.insert("id".to_owned(), Value::String(id.to_owned()));
        }
        self.send(Method::PUT, &format!("/Users/{id}"), &[], Some(&body)).await
    }

    /// Changes names and address (PATCH).
    pub async fn update_user(&self, id: &str, person: &Person) -> Result<Answer, HttpError> {
        self.patch_user(id, &self.dialect.update_user(person)).await
    }

    /// Says `active:false` in the dialect's way.
    pub async fn deactivate(&self, id: &str) -> Result<Answer, HttpError> {
        self.patch_user(id, &self.dialect.set_active(PersonState::Deactivated)).await
    }

    /// Says `active:true` in the dialect's way.
    pub async fn reactivate(&self, id: &str) -> Result<Answer, HttpError> {
        self.patch_user(id, &self.dialect.set_active(PersonState::Active)).await
    }

    /// Sends a PATCH body as it is.
    pub async fn patch_user(&self, id: &str, body: &Value) -> Result<Answer, HttpError> {
        self.send(Method::PATCH, &format!("/Users/{id}"), &[], Some(body)).await
    }

    /// Deletes somebody.
    pub async fn delete_user(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(Method::DELETE, &format!("/Users/{id}"), &[], None).await
    }

    /// Creates a group with members by their SCIM ids.
    pub async fn create_group(&self, group: &Group, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.send(Method::POST, "/Groups", &[], Some(&self.dialect.group(group, member_ids))).await
    }

    /// Looks a group up by name; Entra leaves the members out.
    pub async fn find_group(&self, display_name: &str) -> Result<Answer, HttpError> {
        let without_members: &[(&str, &str)] = match self.dialect {
            Dialect::EntraLegacy | Dialect::EntraFlag => &[("excludedAttributes", "members")],
            Dialect::Okta | Dialect::Generic => &[],
        };
        self.find("/Groups", "displayName", display_name, without_members).await
    }

    /// Reads a group.
    pub async fn read_group(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, &format!("/Groups/{id}"), &[], None).await
    }

    /// Replaces a group whole (PUT).
    pub async fn replace_group(
        &self,
        id: &str,
        group: &Group,
        member_ids: &[String],
    ) -> Result<Answer, HttpError> {
        let body = self.dialect.group(group, member_ids);
        self.send(Method::PUT, &format!("/Groups/{id}"), &[], Some(&body)).await
    }

    /// Gives a group another name.
    pub async fn rename_group(&self, id: &str, display_name: &str) -> Result<Answer, HttpError> {
        self.patch_group(id, &self.dialect.rename_group(id, display_name)).await
    }

    /// Adds members.
    pub async fn add_members(&self, id: &str, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.patch_group(id, &self.dialect.add_members(member_ids)).await
    }

    /// Removes members.
    pub async fn remove_members(&self, id: &str, member_ids: &[String]) -> Result<Answer, HttpError> {
        self.patch_group(id, &self.dialect.remove_members(member_ids)).await
    }

    /// Sets the whole list of members (PATCH).
    pub async fn replace_members(
        &self,
        id: &str,
        display_name: &str,
        member_ids: &[String],
    ) -> Result<Answer, HttpError> {
        self.patch_group(id, &self.dialect.replace_members(id, display_name, member_ids)).await
    }

    /// Sends a PATCH body as it is.
    pub async fn patch_group(&self, id: &str, body: &Value) -> Result<Answer, HttpError> {
        self.send(Method::PATCH, &format!("/Groups/{id}"), &[], Some(body)).await
    }

    /// Deletes a group.
    pub async fn delete_group(&self, id: &str) -> Result<Answer, HttpError> {
        self.send(Method::DELETE, &format!("/Groups/{id}"), &[], None).await
    }

    /// Any request: `path` begins with a slash and follows the base URL.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, HttpError> {
        let mut url = http_client::parse_url(&format!("{}{path}", self.base_url))?;
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        if let Some(flag) = self.dialect.query_flag() {
            let query = url.query().map_or_else(|| flag.to_owned(), |query| format!("{flag}&{query}"));
            url.set_query(Some(&query));
        }
        let began = self.surroundings.monotonic();
        let mut request = self
            .http
            .request(method, url)
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose_secret()))
            .header(USER_AGENT, self.dialect.user_agent())
            .header(ACCEPT, "application/scim+json");
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, self.dialect.content_type()).body(body.to_string());
        }
        let response = request.send().await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let status = response.status().as_u16();
        let (request_id, retry_after) = (header("x-request-id"), header("retry-after"));
        let body = http_client::bounded_body(response).await?;
        Ok(Answer {
            status,
            request_id,
            retry_after_s: retry_after.and_then(|text| text.parse().ok()),
            elapsed: self.surroundings.monotonic().saturating_sub(began),
            body: serde_json::from_slice(&body).ok(),
        })
    }

    async fn find(
        &self,
        path: &str,
        attribute: &str,
        value: &str,
        extra: &[(&str, &str)],
    ) -> Result<Answer, HttpError> {
        let filter = format!("{attribute} eq \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let mut query = vec![("filter", filter.as_str())];
        query.extend_from_slice(extra);
        query.extend_from_slice(self.dialect.find_parameters());
        self.send(Method::GET, path, &query, None).await
    }
}
