//! Whether there is a SCIM server at all, before anything is made there.
//!
//! Here because a wrong address, token or certificate is no finding about a server: it is said as what to correct.

use crate::scim_client::Answer;

use super::run::{Halt, Run};
use super::step::{Weight, quoted};

/// The first request.
///
/// # Errors
/// [`Halt::Unreachable`] with what to correct.
pub(super) async fn reach(run: &mut Run<'_>) -> Result<(), Halt> {
    run.phase("Reach the server");
    run.begin("asks for a list of one", "nothing can be said about the server");
    let sent = run.send(&run.dialect().list_users(1, 1)).await;
    let answer = sent.map_err(|halt| match halt {
        Halt::CannotGoOn(why) | Halt::Unreachable(why) => Halt::Unreachable(why),
    })?;
    match refused(&answer) {
        None => {
            run.check(Weight::Must, "a list of people", || None);
            Ok(())
        }
        Some(why) => {
            run.check(Weight::Must, "a list of people", || Some(why.clone()));
            Err(Halt::Unreachable(why))
        }
    }
}

fn refused(answer: &Answer) -> Option<String> {
    let status = answer.status;
    Some(match status {
        200 if answer.body.as_ref().is_some_and(|body| body.get("totalResults").is_some()) => return None,
        200 => {
            "an answer that is no SCIM list: is this the SCIM base URL, and not that of a page?".to_owned()
        }
        401 | 403 => {
            format!("the token is refused ({status}): is it whole, not ended, and of this directory?")
        }
        404 => "nothing at this address (404): the base URL is what `/Users` follows".to_owned(),
        300..=399 => {
            let to = answer.location.as_deref().map(quoted).unwrap_or_default();
            format!("a redirect ({status}) to `{to}`: providers follow none; name the address itself")
        }
        421 => "the server does not go by this name (421): use the host of its public URL".to_owned(),
        429 => "too many requests (429): wait a minute".to_owned(),
        500.. => format!("the server fails ({status}): look into its log"),
        _ => format!("status {status} to a list of people"),
    })
}
