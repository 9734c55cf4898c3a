//! How fast a body must come: a caller who begins one and stalls is answered 408 and let go.
//!
//! Headers have a limit of their own at the listener. A body needs another kind: the largest ones take minutes on a
//! slow link and are right to, while a caller who trickles holds a connection for as long as it likes. So two things
//! are asked of a body and none of its whole length: no pause above [`Pace::max_pause`], and on the whole no less than
//! [`Pace::min_bytes_per_s`]. Held here and not in each reader of a body, so that no reader can forget it. Whoever
//! stalls holds nothing but the connection: a use case begins when its body is whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use portcullis_domain::id::RequestId;
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Problem;
use crate::pages::failure;
use crate::scim::error::Refused;

/// The longest pause unless the operator says otherwise: a link that loses a packet or changes its route is back by
/// then.
pub const MAX_PAUSE: Duration = Duration::from_secs(20);
/// The slowest rate, in bytes a second: half of what a 64 kbit/s line carries. A group of 50,000 members, some four
/// megabytes, may take a quarter of an hour; the largest body that is read anywhere a little more than one.
pub const MIN_BYTES_PER_S: u32 = 4 * 1024;

/// The code of a body that came too slowly.
pub const CODE: &str = "body_too_slow";
const DETAIL: &str = "the body did not come fast enough; nothing was changed, send it again";
const FOR_PEOPLE: &str = "What your browser sent did not come whole, and nothing was changed. Send it again.";

/// What is asked of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest time without a byte, and what a slow body has in hand over its rate.
    pub max_pause: Duration,
    /// Bytes a second on the whole.
    pub min_bytes_per_s: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { max_pause: MAX_PAUSE, min_bytes_per_s: MIN_BYTES_PER_S }
    }
}

impl Pace {
    /// How long after its beginning a body may still wait for its next byte, when the last of `received` bytes came
    /// at `last`.
    fn limit(self, received: u64, last: Duration) -> Duration {
        let earned_us = received.saturating_mul(1_000_000) / u64::from(self.min_bytes_per_s.max(1));
        let by_rate = self.max_pause.saturating_add(Duration::from_micros(earned_us));
        by_rate.min(last.saturating_add(self.max_pause))
    }
}

/// Whether a body came too slowly: known once its reader was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late(Arc<AtomicBool>);

impl Late {
    /// Whether it did.
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the reader of such a body is told.
#[derive(Debug, Error)]
#[error("the body did not come fast enough")]
pub(crate) struct TooSlow;

/// A body that must keep pace: below it, its reader gets an error, and whoever holds the other half knows why.
pub(crate) fn keep(body: Body, pace: Pace) -> (Body, Late) {
    let late = Late::default();
    if body.is_end_stream() {
        return (body, late);
    }
    (Body::new(Paced { body, pace, under_way: None, received: 0, late: late.clone() }), late)
}

/// Since when a body is read, and until when it may go on without another byte.
struct UnderWay {
    began_at: Instant,
    limit: Pin<Box<Sleep>>,
}

struct Paced {
    body: Body,
    pace: Pace,
    /// Nothing before the first byte is asked for: a caller is not to blame for what happens before.
    under_way: Option<UnderWay>,
    received: u64,
    late: Late,
}

impl Paced {
    fn under_way(&mut self) -> &mut UnderWay {
        let pace = self.pace;
        self.under_way.get_or_insert_with(|| {
            let began_at = Instant::now();
            let limit = Box::pin(sleep_until(began_at + pace.limit(0, Duration::ZERO)));
            UnderWay { began_at, limit }
        })
    }

    fn note(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let (pace, received) = (self.pace, self.received);
        let under_way = self.under_way();
        let limit = under_way.began_at + pace.limit(received, under_way.began_at.elapsed());
        under_way.limit.as_mut().reset(limit);
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.note(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                ready!(this.under_way().limit.as_mut().poll(context));
                this.late.0.store(true, Ordering::Release);
                Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// In whose words a caller is answered, and over which version of HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow {
    surface: Surface,
    version: Version,
}

#[derive(Debug, Clone, Copy)]
enum Surface {
    Directory,
    Browser,
    Machine,
}

impl Slow {
    /// Of a request, before its handler takes it.
    pub(crate) fn of(parts: &Parts) -> Self {
        let wants_page = || {
            let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            accept.is_some_and(|accept| accept.contains("text/html"))
        };
        let surface = match parts.uri.path() {
            path if path.starts_with("/scim/v2/") => Surface::Directory,
            _ if wants_page() => Surface::Browser,
            _ => Surface::Machine,
        };
        Self { surface, version: parts.version }
    }

    /// The answer to whoever was too slow.
    pub(crate) fn refusal(self, request: RequestId) -> Response {
        let status = StatusCode::REQUEST_TIMEOUT;
        let mut response = match self.surface {
            Surface::Directory => directory_refused().into_response(),
            Surface::Browser => failure::plain(status, CODE, FOR_PEOPLE, request),
            Surface::Machine => Problem::new(status, CODE, DETAIL).into_response(),
        };
        if self.version < Version::HTTP_2 {
            // What is still missing of the body would be taken for the next request (RFC 9110 §15.5.9).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The refusal of a directory's call whose body came too slowly.
pub(crate) fn directory_refused() -> Refused {
    let status = StatusCode::REQUEST_TIMEOUT;
    let (detail, scim_type) = (DETAIL.to_owned(), None);
    Refused { status, scim_type, code: CODE, detail, retry_after_s: None, allowed: None, inside: None }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
