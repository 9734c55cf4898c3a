//! One connection that is kept, and as little of HTTP as it takes: the load shares the machine with what it measures.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Directory, Server};

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Seconds after which to come again.
    pub retry_after_s: Option<u64>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The resource's own id, found without reading all of it.
    pub fn id(&self) -> String {
        let value = self.json();
        value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
    }
}

/// A connection.
pub struct Client {
    authority: String,
    /// None where the server closed it behind its last answer.
    stream: Option<TcpStream>,
    /// What each request says beside its first line and the length of its body.
    headers: String,
    prefix: String,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Client {
    pub async fn open(authority: &str, prefix: &str, token: &str) -> Self {
        let headers = format!(
            "Host: {authority}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/scim+json\r\n"
        );
        Self {
            authority: authority.to_owned(),
            stream: Some(connected(authority).await),
            headers,
            prefix: prefix.to_owned(),
            buffer: Vec::new(),
            request: Vec::new(),
        }
    }

    pub async fn of(server: &Server, directory: &Directory) -> Self {
        Self::open(server.base.trim_start_matches("http://"), &directory.path, &directory.token).await
    }

    /// One request and its whole answer.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let (prefix, headers) = (&self.prefix, &self.headers);
        self.request.clear();
        self.request.extend_from_slice(
            format!("{method} {prefix}{path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n", body.len())
                .as_bytes(),
        );
        self.request.extend_from_slice(body);
        self.begin().await;
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let header = |name: &str| {
            head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
        };
        let status: u16 = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        let retry_after_s = header("retry-after").and_then(|n| n.parse().ok());
        let body = if header("transfer-encoding").is_some_and(|t| t.contains("chunked")) {
            self.chunks(end).await
        } else {
            let length: usize = header("content-length").map_or(0, |n| n.parse().unwrap());
            while self.buffer.len() < end + length {
                self.more().await;
            }
            self.buffer[end..end + length].to_vec()
        };
        if head.starts_with("http/1.0") || header("connection").is_some_and(|c| c == "close") {
            self.stream = None;
        }
        Answer { status, body, retry_after_s }
    }

    /// Sends the request and reads the first of its answer. A server may close a connection that was kept while
    /// nothing was asked over it, which the client learns only when it asks: then the request goes over a new one.
    async fn begin(&mut self) {
        if let Some(kept) = self.stream.take()
            && self.try_over(kept).await.is_ok()
        {
            return;
        }
        let new = connected(&self.authority).await;
        self.try_over(new).await.unwrap();
    }

    async fn try_over(&mut self, mut stream: TcpStream) -> io::Result<()> {
        self.buffer.clear();
        stream.write_all(&self.request).await?;
        if stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream = Some(stream);
        Ok(())
    }

    async fn more(&mut self) {
        let read = self.stream.as_mut().unwrap().read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
    }

    async fn chunks(&mut self, mut at: usize) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(found) = self.buffer[at..].windows(2).position(|w| w == b"\r\n") {
                    break at + found;
                }
                self.more().await;
            };
            let digits = String::from_utf8_lossy(&self.buffer[at..line_end]).into_owned();
            let length = usize::from_str_radix(digits.split(';').next().unwrap().trim(), 16).unwrap();
            let start = line_end + 2;
            while self.buffer.len() < start + length + 2 {
                self.more().await;
            }
            body.extend_from_slice(&self.buffer[start..start + length]);
            at = start + length + 2;
            if length == 0 {
                return body;
            }
        }
    }

    /// The same, coming again where the server says that it is too fast; what is not a success ends the run.
    pub async fn must(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        loop {
            let answer = self.send(method, path, body).await;
            match (answer.status, answer.retry_after_s) {
                (200..=299, _) => return answer,
                (429, Some(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                (status, _) => {
                    panic!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer.body))
                }
            }
        }
    }
}

async fn connected(authority: &str) -> TcpStream {
    let stream = TcpStream::connect(authority).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One request: method, path, body.
pub type Request = (&'static str, String, String);

/// Sends requests over so many connections, each as soon as one is free. What was answered, in order of the requests,
/// reduced by `keep` to what is needed of it.
pub async fn spread<T: Send + 'static>(
    server: &Server,
    directory: &Directory,
    connections: usize,
    requests: &Arc<Vec<Request>>,
    keep: fn(Answer) -> T,
) -> Vec<T> {
    let authority = server.base.trim_start_matches("http://");
    spread_to((authority, &directory.path, &directory.token), connections, requests, keep).await
}

/// The same to any server: its authority, the path before each request's, the bearer's secret.
pub async fn spread_to<T: Send + 'static>(
    (authority, prefix, token): (&str, &str, &str),
    connections: usize,
    requests: &Arc<Vec<Request>>,
    keep: fn(Answer) -> T,
) -> Vec<T> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut client = Client::open(authority, prefix, token).await;
        let (next, requests) = (Arc::clone(&next), Arc::clone(requests));
        tasks.push(tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((method, path, body)) = requests.get(at) else { return kept };
                kept.push((at, keep(client.must(method, path, body.as_bytes()).await)));
            }
        }));
    }
    let mut all = Vec::with_capacity(requests.len());
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, kept)| kept).collect()
}

/// Creates so many people by bulk requests, as fast as that goes; their ids.
pub async fn people(server: &Server, directory: &Directory, count: usize) -> Vec<String> {
    let numbers: Vec<usize> = (0..count).collect();
    let requests = numbers.chunks(BULK).map(|chunk| ("POST", "/Bulk".to_owned(), bulk(chunk)));
    let requests = Arc::new(requests.collect());
    let answers = spread(server, directory, 4, &requests, |answer| {
        let value = answer.json();
        let made = value["Operations"].as_array().expect("operations").iter().map(|operation| {
            assert_eq!(operation["status"], "201", "{operation}");
            let location = operation["location"].as_str().expect("a location");
            location.rsplit('/').next().expect("an id").to_owned()
        });
        made.collect::<Vec<_>>()
    });
    answers.await.concat()
}

/// People in one bulk request.
pub const BULK: usize = 1000;

/// A bulk request that creates these people.
pub fn bulk(numbers: &[usize]) -> String {
    let operations: Vec<Value> = numbers
        .iter()
        .map(|number| {
            let data: Value = serde_json::from_str(&person(*number)).unwrap();
            json!({ "method": "POST", "path": "/Users", "bulkId": format!("b{number}"), "data": data })
        })
        .collect();
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations })
        .to_string()
}

/// A PATCH of a group.
pub fn patch(operations: &Value) -> String {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
        .to_string()
}

/// Members as a request names them.
pub fn members<'i>(ids: impl IntoIterator<Item = &'i String>) -> Value {
    ids.into_iter().map(|id| json!({ "value": id })).collect()
}

/// A whole group.
pub fn group(name: &str, ids: &[String]) -> String {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name,
        "externalId": format!("ext-{name}"), "members": members(ids),
    })
    .to_string()
}

/// A person as providers send one.
pub fn person(number: usize) -> String {
    let address = format!("person-{number}@acme.test");
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address,
        "externalId": format!("ext-{number}"), "active": true,
        "name": { "givenName": "Person", "familyName": format!("{number}") },
        "emails": [{ "value": address, "type": "work", "primary": true }],
    })
    .to_string()
}
