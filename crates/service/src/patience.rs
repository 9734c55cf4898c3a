//! Steps of what was begun and must come to its end, though others keep the organization's lock meanwhile.

use std::time::Duration;

use portcullis_store::StoreError;

use crate::ServiceError;

/// How often a step is tried again: with what each waits in the database, for minutes.
const MAX_TRIES: u32 = 30;
/// How long it stands back between two tries; nobody's thread is held meanwhile.
const PAUSE: Duration = Duration::from_millis(200);

/// Carries a step out, once more where the database had no room for it.
///
/// # Errors
/// What the step gave, and [`StoreError::Unavailable`] once it was tried often enough.
pub(crate) async fn carried<T, F: Future<Output = Result<T, ServiceError>>>(
    mut step: impl FnMut() -> F,
) -> Result<T, ServiceError> {
    let mut tries = 0;
    loop {
        match step().await {
            Err(ServiceError::Store(StoreError::Unavailable(_))) if tries < MAX_TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn after(failures: u32, error: ServiceError) -> (Result<u32, ServiceError>, u32) {
        let tried = Cell::new(0);
        let done = carried(|| {
            tried.set(tried.get() + 1);
            std::future::ready(if tried.get() > failures { Ok(tried.get()) } else { Err(error.clone()) })
        });
        (done.await, tried.get())
    }

    #[tokio::test]
    async fn a_step_is_tried_again_where_there_was_no_room_and_nowhere_else() {
        let busy = ServiceError::Store(StoreError::Unavailable("too many others".to_owned()));
        assert_eq!(after(2, busy).await, (Ok(3), 3));
        assert_eq!(after(1, ServiceError::LinkInvalid).await, (Err(ServiceError::LinkInvalid), 1));
    }
}
