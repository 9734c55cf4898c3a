//! Whether anything happens on a connection: a place that is held in silence is one that nobody else gets.
//!
//! HTTP/1 is bounded while headers are awaited. Of HTTP/2 nothing is: whoever said in the TLS handshake that they speak it
//! may say nothing more, whoever answers pings may ask nothing, and whoever asked may take nothing of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// How long a connection may be silent after it asked once. What was answered may still be on its way to a slow reader.
pub const MAX_SILENCE: Duration = Duration::from_secs(300);
/// How much of an answer is handed on at once, in bytes: whoever takes that much within a silence is not silent.
const MAX_PART: usize = 16 * 1024;

/// What happened on one connection.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    /// How many have their answer, or will have none: nobody here works for them any more.
    answered: AtomicU64,
    /// How often somebody asked for the next part of an answer, or was done with one.
    taken: AtomicU64,
}

/// A request that is worked for, until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Activity>);

impl Activity {
    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Resolves when nobody asked anything for `first` from now on, or, once somebody has, when nothing happened for `then`
    /// and no answer is waited for.
    pub async fn falls_silent(&self, first: Duration, then: Duration) {
        let mut limit = first;
        let mut before = [0; 3];
        loop {
            tokio::time::sleep(limit).await;
            let now = [&self.begun, &self.answered, &self.taken].map(|many| many.load(Ordering::Relaxed));
            let [begun, answered, _] = now;
            if now == before && begun == answered {
                return;
            }
            (before, limit) = (now, then);
        }
    }
}

impl UnderWay {
    /// The answer, of which every part that is taken is noted.
    pub fn answer(self, body: Body) -> Answer {
        Answer { body, rest: Bytes::new(), activity: Arc::clone(&self.0) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct Answer {
    body: Body,
    /// Of the part that the body gave last, what was not handed on yet.
    rest: Bytes,
    activity: Arc<Activity>,
}

impl Answer {
    fn next_part(&mut self) -> Option<Frame<Bytes>> {
        let many = self.rest.len().min(MAX_PART);
        (many > 0).then(|| Frame::data(self.rest.split_to(many)))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(part) = self.next_part() {
            return Poll::Ready(Some(Ok(part)));
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = frame else { return frame };
        match frame.into_data() {
            Ok(data) => {
                self.rest = data;
                Poll::Ready(Some(Ok(self.next_part().unwrap_or_else(|| Frame::data(Bytes::new())))))
            }
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.activity.taken.fetch_add(1, Ordering::Relaxed);
    }
}
