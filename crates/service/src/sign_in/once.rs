//! What a browser leaves with is kept, and taken out once: by the browser that it is bound to, and in time.

use portcullis_domain::Timestamp;
use portcullis_domain::id::ConnectionId;
use portcullis_domain::secret::SecretHash;
use portcullis_store::sign_in::SignIn;
use portcullis_store::{Priority, Tx, arrival, sign_in};

use super::binding::Bound;
use super::recording::Claimed;
use crate::refusal::SignInRefusal;
use crate::{Moment, Portcullis, ServiceError};

/// How many expired sign-ins each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;

/// Keeps a sign-in that leaves for its provider.
pub(super) async fn keep(portcullis: &Portcullis, pending: SignIn) -> Result<(), ServiceError> {
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            sign_in::delete_expired(tx, moment.now, SWEPT_AT_ONCE)?;
            Ok(sign_in::insert(tx, &pending)?)
        })
        .await
}

/// Takes the sign-in of an answer's state out, if it was begun in this browser.
pub(super) async fn take(
    portcullis: &Portcullis,
    called: ConnectionId,
    (state, bound): (&str, &Bound),
    claimed: &mut Claimed,
) -> Result<SignIn, ServiceError> {
    let hash = SecretHash::of(state).as_str().to_owned();
    // Committed by itself: whatever comes of it, this state is used up.
    let taken =
        portcullis.write(Priority::Ordinary, move |tx, _| Ok(sign_in::take(tx, called, &hash)?)).await?;
    let taken = taken.ok_or(SignInRefusal::State)?;
    claimed.return_to = Some(taken.return_to.clone());
    must_come_back(portcullis.now(), (&taken.browser_hash, taken.expires_at), bound.value(state))?;
    Ok(taken)
}

/// Only the browser that a sign-in is bound to comes back from its provider, and in time.
pub(super) fn must_come_back(
    now: Timestamp,
    (bound, expires_at): (&str, Timestamp),
    browser: Option<&str>,
) -> Result<(), SignInRefusal> {
    let bound = SecretHash::from_stored(bound.to_owned());
    if !browser.is_some_and(|b| bound.matches(&SecretHash::of(b))) {
        return Err(SignInRefusal::State);
    }
    if now >= expires_at { Err(SignInRefusal::TooLate) } else { Ok(()) }
}

/// What a browser came back with once, and cannot come back with again.
#[derive(Debug, Clone)]
pub(super) enum Once {
    /// The state of a sign-in, by its hash.
    State(String),
    /// The ticket of an arrival, by its hash.
    Ticket(String),
}

impl Once {
    /// Uses it up.
    ///
    /// # Errors
    /// [`SignInRefusal::State`] if somebody has before.
    pub(super) fn use_up(&self, tx: &mut Tx<'_>, called: ConnectionId) -> Result<(), ServiceError> {
        let is_new = match self {
            Self::State(hash) => sign_in::take(tx, called, hash)?.is_some(),
            Self::Ticket(hash) => arrival::take(tx, called, hash)?.is_some(),
        };
        if is_new { Ok(()) } else { Err(SignInRefusal::State.into()) }
    }

    /// Whatever comes of it: what came to nothing took its use back with it, so it is used up by itself.
    pub(super) async fn spent<T>(
        self,
        portcullis: &Portcullis,
        called: ConnectionId,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if result.is_err() {
            let use_up = move |tx: &mut Tx<'_>, _: &mut Moment| Ok(self.use_up(tx, called));
            // Already used up is as good.
            let _ = portcullis.write(Priority::Ordinary, use_up).await?;
        }
        result
    }
}
