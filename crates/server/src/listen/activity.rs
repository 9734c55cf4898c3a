//! Whether anybody asks on a connection: a place that is held in silence is one that nobody else gets.
//!
//! HTTP/1 is bounded while headers are awaited. Of HTTP/2 nothing is: whoever said in the TLS handshake that they speak it
//! may say nothing more, and whoever answers pings may ask nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// How long a connection may be silent after it asked once. What was answered may still be on its way to a slow reader.
const MAX_SILENCE: Duration = Duration::from_secs(300);

/// What was asked on one connection.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that is under way, until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Activity>);

impl Activity {
    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Resolves when nobody asked anything for `first` from now on, or, once somebody has, when a silence was too long.
    pub async fn falls_silent(&self, first: Duration) {
        let mut limit = first;
        let mut before = (0, 0);
        loop {
            tokio::time::sleep(limit).await;
            let now = (self.begun.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed));
            if now == before && now.0 == now.1 {
                return;
            }
            (before, limit) = (now, MAX_SILENCE);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer: its request is under way until it was sent.
#[derive(Debug)]
pub struct Answer {
    pub body: Body,
    pub _asked: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
