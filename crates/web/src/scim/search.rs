//! Lists: of people, of groups, and of both (RFC 7644 section 3.4.2), by parameters or by the body of `/.search`
//! (section 3.4.3), which keeps names out of URLs and their logs; by number or by cursor (RFC 9865).

use portcullis_scim::{
    AskedMembers, ListQuery, PageWish, Projection, ResourceType, ScimError, render_cursor_list, render_list,
};
use portcullis_service::ServiceError;
use portcullis_service::error::DirectoryRefusal;
use portcullis_service::scim::{
    Ask, Belongings, CursorOf, CursorWhose, Listed, Page, Position, Window, open_cursor, seal_cursor,
};
use serde_json::Value;

use super::address::Whose;
use super::error::Refused;
use super::{Answer, Desk, groups, users};

/// A list as it is answered.
struct Rendered {
    body: Value,
    /// How much text it shows, roughly, in bytes.
    bytes: usize,
}

/// Resources of both kinds, by number.
struct Numbered {
    resources: Vec<Value>,
    total: u64,
    /// How much text they are, roughly, in bytes.
    bytes: usize,
}

/// Where a list of both goes on: among the people or among the groups.
struct Place {
    kind: ResourceType,
    /// None: at the first of the kind.
    position: Option<Position>,
    /// How many resources its pages show.
    count: usize,
}

/// A list asked for by the parameters of the URL.
pub(super) async fn by_parameters(desk: &Desk<'_>, whose: Whose) -> Result<Answer, Refused> {
    answer(desk, whose, &ListQuery::parse(desk.parameters())?).await
}

/// A list asked for by a body. A filter in the URL is refused: left aside, everybody would be found.
pub(super) async fn by_body(desk: &Desk<'_>, whose: Whose, body: &[u8]) -> Result<Answer, Refused> {
    if desk.parameters().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(ScimError::FilterInUrl.into());
    }
    answer(desk, whose, &ListQuery::parse_search(body)?).await
}

async fn answer(desk: &Desk<'_>, whose: Whose, query: &ListQuery) -> Result<Answer, Refused> {
    desk.hear(query.notes.iter().cloned());
    let Rendered { body, bytes } = match (whose, &query.page) {
        (Whose::Users, page) => one_kind(desk, ResourceType::User, query, page).await?,
        (Whose::Groups, page) => one_kind(desk, ResourceType::Group, query, page).await?,
        (Whose::All, PageWish::Index(start_index)) => everything(desk, query, *start_index).await?,
        (Whose::All, PageWish::FirstByCursor) if query.page_size() == 0 => {
            let none = numbered(desk, query, Window { skip: 0, count: 0 }).await?;
            Rendered { body: render_cursor_list(none.resources, Some(none.total), None), bytes: none.bytes }
        }
        (Whose::All, PageWish::FirstByCursor) => {
            let first = Place { kind: ResourceType::User, position: None, count: query.page_size() };
            everything_after(desk, query, first).await?
        }
        (Whose::All, PageWish::Cursor(cursor)) => {
            everything_after(desk, query, reopened(desk, query, cursor)?).await?
        }
    };
    Ok(Answer::ok(body).of_bytes(bytes))
}

async fn one_kind(
    desk: &Desk<'_>,
    kind: ResourceType,
    query: &ListQuery,
    wish: &PageWish,
) -> Result<Rendered, Refused> {
    if let Some(filter) = &query.filter {
        filter.check_names(kind)?;
    }
    let of = CursorOf { directory: desk.speaker.directory, whose: CursorWhose::One(kind), query };
    let portcullis = desk.app.portcullis();
    let (page, count) = match wish {
        PageWish::Index(start_index) => {
            let count = query.page_size();
            (Page::Window(Window { skip: start_index - 1, count }), count)
        }
        // Only the total is asked for, and there is nothing to go on from.
        PageWish::FirstByCursor if query.page_size() == 0 => (Page::Window(Window { skip: 0, count: 0 }), 0),
        PageWish::FirstByCursor => {
            let count = query.page_size();
            (Page::After { position: None, count }, count)
        }
        PageWish::Cursor(cursor) => {
            let (position, count) = open_cursor(portcullis, of, cursor)?;
            (Page::After { position: Some(position), count }, count)
        }
    };
    let listed = list(desk, kind, query, page).await?;
    let bytes = listed.bytes;
    if let PageWish::Index(start_index) = wish {
        let body = render_list(listed.items, listed.total.unwrap_or(0), *start_index);
        return Ok(Rendered { body, bytes });
    }
    let next = listed.next.map(|position| seal_cursor(portcullis, of, position, count)).transpose()?;
    Ok(Rendered { body: render_cursor_list(listed.items, listed.total, next.as_deref()), bytes })
}

async fn list(
    desk: &Desk<'_>,
    kind: ResourceType,
    query: &ListQuery,
    page: Page,
) -> Result<Listed<Value>, Refused> {
    let asked_members = match (&query.filter, kind) {
        (Some(filter), ResourceType::Group) => filter.asked_members()?,
        _ => AskedMembers::default(),
    };
    if let Some(filter) = &query.filter {
        filter.check_types(kind)?;
        desk.hear(filter.type_notes(kind));
    }
    let wants = |attribute| query.projection.wants(kind, attribute);
    let belong = match (kind, &query.projection) {
        // A person's groups belong to their version. Whoever asks for that by name has it at any price.
        (ResourceType::User, Projection::Only(_)) => wants("groups") || wants("meta"),
        (ResourceType::User, _) => wants("groups"),
        (ResourceType::Group, _) => wants("members"),
    };
    let belongings = if belong { Belongings::Read } else { Belongings::LeftOut };
    let ask = Ask {
        directory: desk.speaker.directory,
        base: desk.base.clone(),
        filter: query.filter.clone(),
        sort: query.sort.as_ref().map(|sort| sort.resolve(kind)).transpose()?,
        page,
        belongings,
        asked_members,
    };
    match kind {
        ResourceType::User => users::list(desk, ask, &query.projection).await,
        ResourceType::Group => groups::list(desk, ask, &query.projection).await,
    }
}

/// People first, then groups, in order of age. What a kind has not has no value there; a name that neither has is
/// refused.
async fn everything(desk: &Desk<'_>, query: &ListQuery, start_index: u64) -> Result<Rendered, Refused> {
    let window = Window { skip: start_index - 1, count: query.page_size() };
    let Numbered { resources, total, bytes } = numbered(desk, query, window).await?;
    Ok(Rendered { body: render_list(resources, total, start_index), bytes })
}

/// The resources of a window.
async fn numbered(desk: &Desk<'_>, query: &ListQuery, window: Window) -> Result<Numbered, Refused> {
    check_everything(query)?;
    let people = list(desk, ResourceType::User, query, Page::Window(window)).await?;
    let (mut resources, many) = (people.items, people.total.unwrap_or(0));
    let shown = u64::try_from(resources.len()).unwrap_or(u64::MAX);
    // Groups come when the people are at their end: a page of people may be shorter than it was asked for.
    let is_at_end = resources.is_empty() || window.skip.saturating_add(shown) >= many;
    let rest = Window {
        skip: window.skip.saturating_sub(many),
        count: if is_at_end { window.count.saturating_sub(resources.len()) } else { 0 },
    };
    let groups = list(desk, ResourceType::Group, query, Page::Window(rest)).await?;
    resources.extend(groups.items);
    let total = many.saturating_add(groups.total.unwrap_or(0));
    Ok(Numbered { resources, total, bytes: people.bytes + groups.bytes })
}

/// Refuses what a list of both has not: an order, because no attribute of the one is the same as one of the other.
fn check_everything(query: &ListQuery) -> Result<(), ScimError> {
    if query.sort.is_some() {
        return Err(ScimError::InvalidParameter { name: "sortBy" });
    }
    query.filter.as_ref().map_or(Ok(()), |filter| filter.check_names_of(&ResourceType::ALL))
}

/// Where a list of both goes on.
fn reopened(desk: &Desk<'_>, query: &ListQuery, cursor: &str) -> Result<Place, Refused> {
    let open = |kind| {
        let of = CursorOf { directory: desk.speaker.directory, whose: CursorWhose::Both(kind), query };
        open_cursor(desk.app.portcullis(), of, cursor).map(|(position, count)| Place {
            kind,
            position: Some(position),
            count,
        })
    };
    match open(ResourceType::User) {
        Err(ServiceError::Directory(DirectoryRefusal::Scim(ScimError::InvalidCursor))) => {
            Ok(open(ResourceType::Group)?)
        }
        opened => Ok(opened?),
    }
}

/// The same by cursor: a page of people, and behind the last of them groups. No total is told, as it would be counted
/// anew for each page.
async fn everything_after(desk: &Desk<'_>, query: &ListQuery, place: Place) -> Result<Rendered, Refused> {
    let Place { kind, mut position, count } = place;
    check_everything(query)?;
    let seal = |kind, position| {
        let of = CursorOf { directory: desk.speaker.directory, whose: CursorWhose::Both(kind), query };
        seal_cursor(desk.app.portcullis(), of, position, count)
    };
    let (mut resources, mut bytes) = (Vec::new(), 0);
    let mut next = None;
    if kind == ResourceType::User {
        let page = Page::After { position: position.take(), count };
        let people = list(desk, ResourceType::User, query, page).await?;
        next = people.next.map(|position| seal(ResourceType::User, position)).transpose()?;
        (resources, bytes) = (people.items, people.bytes);
    }
    let left = count.saturating_sub(resources.len());
    match (&next, left) {
        (Some(_), _) => {}
        // The groups begin on a page of their own.
        (None, 0) if count > 0 => next = Some(seal(ResourceType::Group, Position::beginning())?),
        (None, left) => {
            let page = Page::After { position, count: left };
            let groups = list(desk, ResourceType::Group, query, page).await?;
            next = groups.next.map(|position| seal(ResourceType::Group, position)).transpose()?;
            resources.extend(groups.items);
            bytes += groups.bytes;
        }
    }
    Ok(Rendered { body: render_cursor_list(resources, None, next.as_deref()), bytes })
}
