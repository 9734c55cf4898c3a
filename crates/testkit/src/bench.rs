//! The whole product behind HTTP, without a socket.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use portcullis_domain::secret::SecretHash;
use portcullis_service::caller::ROOT_TOKEN_HASH;
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingKey};
use portcullis_service::{Limits, Moment, Portcullis, ServiceError, Surroundings};
use portcullis_store::{Options, Store, Tx, instance};
use portcullis_web::edge::EdgeSettings;
use portcullis_web::{App, router};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::place::{CONNECTIONS, Place};
use crate::{Outside, Seeded, SetClock, document};

/// Under which URL a bench is reached.
pub const PUBLIC_URL: &str = "http://127.0.0.1:8080";
/// The root token of every bench.
pub const ROOT_TOKEN: &str = "root-token-of-a-bench";
/// What a bench's randomness begins with.
const SEED: u64 = 2026;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Exchange {
    /// The body as JSON; null if there is none.
    ///
    /// # Panics
    /// If there is a body and it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A product on a throw-away database.
pub struct Bench {
    app: App,
    /// The time, to be moved.
    pub clock: Arc<SetClock>,
    /// The world outside, to be told what to answer.
    pub outside: Arc<Outside>,
    // Where the database is; gone when the bench is.
    place: Place,
}

impl Bench {
    /// A product on the database that the run is for, with [`ROOT_TOKEN`] installed and nothing else: tests of what
    /// touches SQL and says nothing of a database run on both, in two runs.
    ///
    /// # Panics
    /// As [`Place::of_the_run`].
    #[must_use]
    pub fn of_the_run() -> Self {
        Self::on(Place::of_the_run())
    }

    /// A product on SQLite in a temporary folder, with [`ROOT_TOKEN`] installed and nothing else.
    ///
    /// # Panics
    /// If there is no place for the database.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::on(Place::sqlite())
    }

    /// The same on a database of its own in the PostgreSQL cluster that `PORTCULLIS_TEST_POSTGRES` names; `None` where
    /// it names none.
    ///
    /// # Panics
    /// If it names none in CI, where half of the tests must not be left out quietly; if the cluster does not answer.
    #[must_use]
    pub fn postgres() -> Option<Self> {
        Self::postgres_with(CONNECTIONS)
    }

    /// The same with so many connections, for as many who want something at once.
    ///
    /// # Panics
    /// As [`Bench::postgres`].
    #[must_use]
    pub fn postgres_with(connections: usize) -> Option<Self> {
        Place::postgres(connections).map(Self::on)
    }

    fn on(place: Place) -> Self {
        let clock = Arc::new(SetClock::default());
        let outside = Arc::new(Outside::default());
        let store = Store::open(&place.options(), Arc::clone(&clock) as _).expect("a database");
        let root = SecretHash::of(ROOT_TOKEN);
        store
            .write_blocking(move |tx| instance::put(tx, ROOT_TOKEN_HASH, root.as_str()))
            .expect("the root token is installed");
        let around = Surroundings {
            store: Arc::new(store),
            clock: Arc::clone(&clock) as _,
            randoms: Seeded::sources(SEED),
            sealing: Arc::new(SealingKey::from_bytes(&[7; SEALING_KEY_BYTES]).expect("a key")),
            fetch: Arc::clone(&outside) as _,
            public_url: PUBLIC_URL.parse().expect("a URL"),
            limits: Limits::default(),
        };
        let app = App::new(Portcullis::new(around), EdgeSettings::default());
        Self { app, clock, outside, place }
    }

    /// Where the database is, for whoever looks into it past the product.
    #[must_use]
    pub fn database(&self) -> Options {
        self.place.options()
    }

    /// The product, for what is not behind HTTP.
    #[must_use]
    pub fn portcullis(&self) -> &Portcullis {
        self.app.portcullis()
    }

    /// What handlers reach.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Runs a use case that writes, as a job or a page would.
    ///
    /// # Panics
    /// If it is refused.
    pub fn write<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
    ) -> T {
        let portcullis = self.portcullis().clone();
        let store = Arc::clone(&self.portcullis().around().store);
        store
            .write_blocking(move |tx| run(tx, &mut portcullis.moment()))
            .expect("the use case is carried out")
    }

    /// Sends one whole request and reads the whole answer.
    ///
    /// # Panics
    /// If the answer breaks off.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Exchange {
        let Ok(response) = router(self.app.clone()).oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        Exchange { status: parts.status, headers: parts.headers, body }
    }

    /// Calls a path with these headers, and a body if it is not null.
    ///
    /// # Panics
    /// If the request cannot be written.
    pub async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Exchange {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.exchange_text(method, path, headers, &text).await
    }

    /// The same with a body that is no JSON, such as a form.
    ///
    /// # Panics
    /// As [`Bench::exchange`].
    pub async fn exchange_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Exchange {
        let called = Method::from_bytes(method.as_bytes()).expect("a method");
        let host = PUBLIC_URL.trim_start_matches("http://");
        let mut request = Request::builder().method(called).uri(path).header(header::HOST, host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = Bytes::from(body.to_owned());
        let answer = self.send(request.body(Full::new(bytes)).expect("a request")).await;
        document::knows(method, path, &answer);
        answer
    }

    /// Calls a whole path such as `/api/v1/organizations` as that bearer: status and JSON.
    pub async fn call(&self, method: &str, path: &str, bearer: &str, body: Value) -> (u16, Value) {
        let authorization = format!("Bearer {bearer}");
        let exchange = self.exchange(method, path, &[("authorization", &authorization)], &body).await;
        (exchange.status.as_u16(), exchange.json())
    }
}
