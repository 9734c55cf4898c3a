//! A browser that follows redirects and keeps cookies, and nothing else.
//!
//! Here so that demo and tests sign in as a person would: from Portcullis to the provider and back, with the cookies
//! that tie the two ends together. Cookies are kept by origin (host and port), because all of it runs on one loopback
//! address.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use thiserror::Error;
use url::{Url, form_urlencoded};

use crate::http_client::{self, HttpError};

/// Most redirects in a row.
const MAX_REDIRECTS: usize = 20;
/// Most cookies of one origin.
const MAX_COOKIES: usize = 50;

/// Why the browser did not arrive.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// A call gave no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// More than 20 redirects.
    #[error("more than {MAX_REDIRECTS} redirects, the last one to `{0}`")]
    TooManyRedirects(String),
    /// A redirect to what is no URL.
    #[error("a redirect to `{0}`, which is no address")]
    BadRedirect(String),
}

/// Where the browser arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// The text.
    pub body: String,
    /// Every address on the way, the first one included.
    pub passed: Vec<Url>,
}

/// One person's browser.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// A browser without cookies.
    ///
    /// # Errors
    /// [`HttpError`] if no client can be made.
    pub fn new() -> Result<Self, HttpError> {
        Ok(Self { http: http_client::client()?, cookies: BTreeMap::new() })
    }

    /// Opens an address and follows where it leads.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub async fn open(&mut self, address: &str) -> Result<Page, BrowserError> {
        let url = http_client::parse_url(address)?;
        self.follow(Method::GET, url, None).await
    }

    /// Sends a form, with the `Origin` of its own address, and follows where the answer leads.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub async fn submit(&mut self, address: &str, fields: &[(&str, &str)]) -> Result<Page, BrowserError> {
        let url = http_client::parse_url(address)?;
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.follow(Method::POST, url, Some(form)).await
    }

    /// Opens an address and follows nothing: for looking at one step.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub async fn step(&mut self, address: &str) -> Result<(Page, Option<Url>), BrowserError> {
        let url = http_client::parse_url(address)?;
        self.call(&Method::GET, &url, None).await
    }

    /// The value of a cookie of the origin of `address`.
    #[must_use]
    pub fn find_cookie(&self, address: &str, name: &str) -> Option<&str> {
        let origin = origin(&Url::parse(address).ok()?);
        self.cookies.get(&origin)?.get(name).map(String::as_str)
    }

    /// Puts a cookie there: to take another browser's, as an attacker would.
    ///
    /// # Errors
    /// [`HttpError::BadUrl`].
    pub fn set_cookie(&mut self, address: &str, name: &str, value: &str) -> Result<(), HttpError> {
        let origin = origin(&http_client::parse_url(address)?);
        self.cookies.entry(origin).or_default().insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn follow(&mut self, method: Method, url: Url, form: Option<String>) -> Result<Page, BrowserError> {
        let mut passed = vec![url.clone()];
        let (mut page, mut next) = self.call(&method, &url, form).await?;
        while let Some(url) = next {
            if passed.len() > MAX_REDIRECTS {
                return Err(BrowserError::TooManyRedirects(url.to_string()));
            }
            passed.push(url.clone());
            (page, next) = self.call(&Method::GET, &url, None).await?;
        }
        page.passed = passed;
        Ok(page)
    }

    async fn call(
        &mut self,
        method: &Method,
        url: &Url,
        form: Option<String>,
    ) -> Result<(Page, Option<Url>), BrowserError> {
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(cookies) = self.cookies.get(&origin(url)).filter(|cookies| !cookies.is_empty()) {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        if let Some(form) = form {
            request = request
                .header(ORIGIN, url.origin().ascii_serialization())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let response = request.send().await.map_err(HttpError::from)?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            self.keep(url, cookie.to_str().unwrap_or_default());
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let status = response.status();
        let next = match header(LOCATION.as_str()).filter(|_| is_redirect(status)) {
            Some(location) => Some(url.join(&location).map_err(|_| BrowserError::BadRedirect(location))?),
            None => None,
        };
        let request_id = header("x-request-id");
        let body = http_client::bounded_body(response).await?;
        let page = Page {
            url: url.clone(),
            status: status.as_u16(),
            request_id,
            body: String::from_utf8_lossy(&body).into_owned(),
            passed: vec![url.clone()],
        };
        Ok((page, next))
    }

    /// `Max-Age=0` takes a cookie away; other attributes do not matter on one loopback address.
    fn keep(&mut self, url: &Url, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let ended = parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
        let cookies = self.cookies.entry(origin(url)).or_default();
        if ended || value.is_empty() {
            cookies.remove(name);
        } else if cookies.len() < MAX_COOKIES || cookies.contains_key(name) {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
