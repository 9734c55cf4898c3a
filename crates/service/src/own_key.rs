//! What holds for our own keys at a connection, whatever its protocol: how many there may be, and for how long their
//! certificates are good.

use portcullis_domain::connection::KeyState;

use crate::ServiceError;

/// The most keys of a connection that are published at once: the former, the one that signs, the next, and one more.
const MAX_PUBLISHED: usize = 4;
/// The most keys of a connection that are remembered, retired ones among them.
const MAX_REMEMBERED: usize = 60;
/// Days for which a key's certificate is good: longer than between two rotations, short enough that one comes.
pub(crate) const GOOD_FOR_DAYS: i64 = 3 * 365;
/// Seconds by which a certificate begins before it was made, for providers whose clocks are behind.
pub(crate) const BEGINS_BEFORE_S: i64 = 3_600;

/// Refuses one more key beside keys in these states; `field` is what the API calls them.
pub(crate) fn must_have_room_for_key(
    states: impl Iterator<Item = KeyState> + Clone,
    field: &'static str,
) -> Result<(), ServiceError> {
    let published = states.clone().filter(|state| state.is_published()).count();
    if published >= MAX_PUBLISHED || states.count() >= MAX_REMEMBERED {
        let message = format!("are at most {MAX_PUBLISHED} at once: retire one first");
        return Err(ServiceError::invalid(field, message));
    }
    Ok(())
}
