//! Lists: of people, of groups, and of both (RFC 7644 section 3.4.2), by parameters or by the body of `/.search`
//! (section 3.4.3), which keeps names out of URLs and their logs.

use portcullis_scim::{ListQuery, ResourceType, ScimError, render_list};
use portcullis_service::scim::Window;

use super::address::Whose;
use super::error::Refused;
use super::{Answer, Desk, groups, users};

/// A list asked for by the parameters of the URL.
pub(super) async fn by_parameters(desk: &Desk<'_>, whose: Whose) -> Result<Answer, Refused> {
    answer(desk, whose, &ListQuery::parse(desk.parameters())?).await
}

/// A list asked for by a body.
pub(super) async fn by_body(desk: &Desk<'_>, whose: Whose, body: &[u8]) -> Result<Answer, Refused> {
    answer(desk, whose, &ListQuery::parse_search(body)?).await
}

async fn answer(desk: &Desk<'_>, whose: Whose, query: &ListQuery) -> Result<Answer, Refused> {
    let window = Window { skip: query.start_index - 1, count: query.count };
    let (resources, total) = match whose {
        Whose::Users => users::list(desk, query, window).await?,
        Whose::Groups => groups::list(desk, query, window).await?,
        Whose::All => everything(desk, query, window).await?,
    };
    Ok(Answer::ok(render_list(resources, total, query.start_index)))
}

/// People first, then groups. A kind that has not the attributes of the filter has no resource that fulfils it.
async fn everything(
    desk: &Desk<'_>,
    query: &ListQuery,
    window: Window,
) -> Result<(Vec<serde_json::Value>, u64), Refused> {
    let refusal = |kind| query.filter.as_ref().and_then(|filter| filter.as_lookup(kind).err());
    let (of_users, of_groups) = (refusal(ResourceType::User), refusal(ResourceType::Group));
    if let (Some(refusal), Some(_)) = (&of_users, &of_groups) {
        return Err(ScimError::clone(refusal).into());
    }
    let (mut resources, people) = match of_users {
        None => users::list(desk, query, window).await?,
        Some(_) => (Vec::new(), 0),
    };
    if of_groups.is_some() {
        return Ok((resources, people));
    }
    let rest = Window {
        skip: window.skip.saturating_sub(people),
        count: window.count.saturating_sub(resources.len()),
    };
    let (groups, many) = groups::list(desk, query, rest).await?;
    resources.extend(groups);
    Ok((resources, people.saturating_add(many)))
}
