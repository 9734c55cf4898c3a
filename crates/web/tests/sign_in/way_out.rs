//! The product's way out, which a test can close.

use std::sync::{Arc, Mutex};

use portcullis_service::fetch::{Fetch, FetchAnswer, FetchError, FetchFuture, FetchMethod, FetchRequest};
use reqwest::header::{HeaderName, HeaderValue};
use tokio::sync::watch;

/// What becomes of requests to addresses that end in a text.
#[derive(Clone, Default)]
enum Way {
    #[default]
    Open,
    /// They wait until it is open again.
    Held(&'static str),
    /// They reach nobody.
    Cut(&'static str),
    /// They are answered with this by somebody who stands before the provider.
    Answered(&'static str, &'static str),
}

/// The gate that every request of the product goes through.
#[derive(Default)]
pub struct Gate {
    way: watch::Sender<Way>,
    asked: Mutex<Vec<String>>,
}

impl Gate {
    /// Lets requests to addresses that end so wait.
    pub fn hold(&self, end: &'static str) {
        self.way.send_replace(Way::Held(end));
    }

    /// Lets requests to addresses that end so reach nobody.
    pub fn cut(&self, end: &'static str) {
        self.way.send_replace(Way::Cut(end));
    }

    /// Answers requests to addresses that end so in the provider's place.
    pub fn answer(&self, end: &'static str, body: &'static str) {
        self.way.send_replace(Way::Answered(end, body));
    }

    /// Lets everything through, what waits too.
    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// How many requests to addresses that end so came to the gate.
    pub fn asked(&self, end: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.ends_with(end)).count()
    }

    /// Comes back when that holds.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it never came to be: {:?}", self.asked.lock().unwrap());
    }

    async fn pass(&self, request: &FetchRequest) -> Result<Option<FetchAnswer>, FetchError> {
        let path = request.url.path().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let mut way = self.way.subscribe();
        let passes = |way: &Way| !matches!(way, Way::Held(end) if path.ends_with(end));
        let now = way.wait_for(passes).await.unwrap().clone();
        match now {
            Way::Cut(end) if path.ends_with(end) => {
                let host = request.url.host_str().unwrap_or_default().to_owned();
                Err(FetchError::Unreachable { host, why: "the test cut it off".to_owned() })
            }
            Way::Answered(end, body) if path.ends_with(end) => {
                Ok(Some(FetchAnswer { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }))
            }
            _ => Ok(None),
        }
    }
}

/// A way out without any guard but the gate.
pub struct Direct {
    http: reqwest::Client,
    gate: Arc<Gate>,
}

impl Direct {
    pub fn behind(http: reqwest::Client, gate: Arc<Gate>) -> Self {
        Self { http, gate }
    }
}

impl Fetch for Direct {
    fn fetch(&self, request: FetchRequest) -> FetchFuture<'_, FetchAnswer> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        Box::pin(async move {
            if let Some(answer) = self.gate.pass(&request).await? {
                return Ok(answer);
            }
            let mut out = match request.method {
                FetchMethod::Get => self.http.get(request.url),
                FetchMethod::Post => self.http.post(request.url),
            };
            for (name, value) in request.headers {
                out = out.header(name, value);
            }
            if let Some(body) = request.body {
                out = out.body(body);
            }
            let failed =
                |e: reqwest::Error| FetchError::Unreachable { host: host.clone(), why: e.to_string() };
            let answer = out.send().await.map_err(failed)?;
            let status = answer.status().as_u16();
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            };
            let headers = answer.headers().iter().filter_map(text).collect();
            let body = answer.bytes().await.map_err(failed)?.to_vec();
            if body.len() > request.max_bytes {
                return Err(FetchError::TooLarge { host, max_bytes: request.max_bytes });
            }
            Ok(FetchAnswer { status, headers, body })
        })
    }

    fn txt_records(&self, _: &str) -> FetchFuture<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
