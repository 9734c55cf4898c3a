//! The outbox without anybody who waits for it: what nobody is told is dropped after a while.
//!
//! An off-boarding writes what is to be told with the change that it tells of. Nothing takes it yet, so it would grow
//! for ever; whoever subscribes later begins from then on and is told of the past by receipts and the audit log.

use portcullis_store::{Priority, outbox};

use crate::{Portcullis, ServiceError};

/// Seconds for which a message is kept that nobody takes: a month, longer than any outage of whoever would take it.
pub const KEPT_S: i64 = 30 * 24 * 3_600;
/// Messages that are dropped in one transaction.
const CHUNK: i64 = 1_000;
/// Chunks of one step: what is left is dropped by the next.
const MAX_CHUNKS: usize = 50;

impl Portcullis {
    /// Drops what nobody was told within [`KEPT_S`].
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn sweep_outbox(&self) -> Result<(), ServiceError> {
        let mut dropped = 0;
        for _ in 0..MAX_CHUNKS {
            let chunk = self
                .write(Priority::Ordinary, |tx, moment| {
                    Ok(outbox::sweep(tx, moment.now.plus_s(-KEPT_S), CHUNK)?)
                })
                .await?;
            dropped += chunk;
            if chunk == 0 {
                break;
            }
        }
        if dropped > 0 {
            tracing::info!(messages = dropped, "dropped messages of the outbox that nobody takes");
        }
        Ok(())
    }
}
