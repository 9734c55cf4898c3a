//! The parameters of a list request, and the list that answers it (RFC 7644 section 3.4.2).
//!
//! Parameters that are not known are ignored: identity providers add flags of their own to each URL. A `cursor`, even
//! an empty one, asks for pages by cursor (RFC 9865); `startIndex` then says nothing.

use serde_json::{Value, json};

use crate::error::ScimError;
use crate::filter::Filter;
use crate::json::parse_object;
use crate::limits::{DEFAULT_RESULTS, MAX_RESULTS};
use crate::note::{DialectNote, Notes};
use crate::projection::Projection;
use crate::sort::{SortOrder, SortWish};
use crate::user::note_schemas;

/// The schema of a list.
pub const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The schema of a search request.
pub const SEARCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// What a list request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// Which resources. None: all.
    pub filter: Option<Filter>,
    /// In which order. None: a stable one.
    pub sort: Option<SortWish>,
    /// Where the page begins.
    pub page: PageWish,
    /// The most resources on the page, at most [`MAX_RESULTS`], if the client says it. Zero asks for the total only.
    pub count: Option<usize>,
    /// What of each resource.
    pub projection: Projection,
    /// The liberties that it took.
    pub notes: Vec<DialectNote>,
}

impl ListQuery {
    /// Reads the decoded parameters of a URL.
    ///
    /// # Errors
    ///
    /// A parameter that is malformed or given twice, a filter that is not valid, or both projections.
    pub fn parse<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ScimError> {
        let mut raw = RawQuery::default();
        for (name, value) in parameters {
            raw.read(name, value)?;
        }
        raw.parse()
    }

    /// Reads the body of `POST /.search` (RFC 7644 section 3.4.3).
    ///
    /// # Errors
    ///
    /// As [`ListQuery::parse`], or a body that is no search request.
    pub fn parse_search(body: &[u8]) -> Result<Self, ScimError> {
        let mut raw = RawQuery::default();
        let mut object = parse_object(body)?;
        let mut notes = Notes::default();
        note_schemas(&mut object, SEARCH_SCHEMA, &mut notes);
        for (name, value) in object {
            match (value, RawQuery::takes_list(&name)) {
                (Value::Null, _) => {}
                (Value::String(text), _) => raw.read(&name, &text)?,
                (Value::Number(number), _) => raw.read(&name, &number.to_string())?,
                (Value::Array(names), true) => {
                    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                    raw.read(&name, &names.join(","))?;
                }
                (Value::Array(_) | Value::Bool(_) | Value::Object(_), _) => raw.refuse(&name)?,
            }
        }
        let mut query = raw.parse()?;
        query.notes.extend(notes.into_vec());
        Ok(query)
    }
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageWish {
    /// At this resource, from 1.
    Index(u64),
    /// At the beginning, to go on by cursors.
    FirstByCursor,
    /// Where this cursor says.
    Cursor(String),
}

impl ListQuery {
    /// The most resources on the page.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.count.unwrap_or(DEFAULT_RESULTS)
    }

    /// Everything that must stay the same from one cursor to the next, as one text; `count` apart.
    #[must_use]
    pub fn binding(&self) -> String {
        format!("{:?}|{:?}|{:?}", self.filter, self.sort, self.projection)
    }
}

/// The parameters as text.
#[derive(Default)]
struct RawQuery {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    cursor: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl RawQuery {
    /// Whether a search request may give it as a list.
    fn takes_list(name: &str) -> bool {
        ["attributes", "excludedAttributes"].iter().any(|list| list.eq_ignore_ascii_case(name))
    }

    fn read(&mut self, name: &str, value: &str) -> Result<(), ScimError> {
        let Some((name, place)) = self.place(name) else { return Ok(()) };
        if place.replace(value.to_owned()).is_some() {
            return Err(ScimError::InvalidParameter { name });
        }
        Ok(())
    }

    /// Refuses a parameter that came as what it cannot be. A filter that is left aside would find everybody.
    fn refuse(&mut self, name: &str) -> Result<(), ScimError> {
        self.place(name).map_or(Ok(()), |(name, _)| Err(ScimError::InvalidParameter { name }))
    }

    /// Where a parameter is kept, and its name; none for one that is unknown.
    fn place(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>)> {
        Some(match name.to_ascii_lowercase().as_str() {
            "filter" => ("filter", &mut self.filter),
            "sortby" => ("sortBy", &mut self.sort_by),
            "sortorder" => ("sortOrder", &mut self.sort_order),
            "cursor" => ("cursor", &mut self.cursor),
            "startindex" => ("startIndex", &mut self.start_index),
            "count" => ("count", &mut self.count),
            "attributes" => ("attributes", &mut self.attributes),
            "excludedattributes" => ("excludedAttributes", &mut self.excluded_attributes),
            _ => return None,
        })
    }

    fn parse(self) -> Result<ListQuery, ScimError> {
        // An empty number says nothing. An empty filter does not mean all: a look-up that lost its question must not be
        // answered with everybody.
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let count = match said(self.count) {
            None => None,
            Some(text) => {
                let count = parse_integer("count", &text)?.max(0);
                Some(usize::try_from(count).unwrap_or(MAX_RESULTS).min(MAX_RESULTS))
            }
        };
        let start_index = match said(self.start_index) {
            None => 1,
            Some(text) => u64::try_from(parse_integer("startIndex", &text)?).unwrap_or(1).max(1),
        };
        let sort = match self.sort_by.filter(|name| !name.trim().is_empty()) {
            None => None,
            Some(name) => Some(SortWish::parse(&name, SortOrder::parse(self.sort_order.as_deref())?)?),
        };
        let page = match self.cursor {
            None => PageWish::Index(start_index),
            Some(cursor) if cursor.is_empty() => PageWish::FirstByCursor,
            Some(cursor) => PageWish::Cursor(cursor),
        };
        let (filter, notes) = match self.filter.map(|text| Filter::parse_noting(&text)).transpose()? {
            Some((filter, notes)) => (Some(filter), notes),
            None => (None, Vec::new()),
        };
        Ok(ListQuery {
            filter,
            notes,
            sort,
            page,
            count,
            projection: Projection::parse(self.attributes.as_deref(), self.excluded_attributes.as_deref())?,
        })
    }
}

/// An integer of any size, held to what 64 bits take.
fn parse_integer(name: &'static str, text: &str) -> Result<i64, ScimError> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::InvalidParameter { name });
    }
    let limit = if digits.len() == text.len() { i64::MAX } else { i64::MIN };
    Ok(text.parse().unwrap_or(limit))
}

/// A page of a list that goes on by cursors: the total only where it is known, `next` on every page but the last.
#[must_use]
pub fn render_cursor_list(resources: Vec<Value>, total: Option<u64>, next: Option<&str>) -> Value {
    let mut list = json!({
        "schemas": [LIST_SCHEMA],
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    if let Some(object) = list.as_object_mut() {
        object.extend(total.map(|total| ("totalResults".to_owned(), total.into())));
        object.extend(next.map(|next| ("nextCursor".to_owned(), next.into())));
    }
    list
}

/// A list of resources: one page of `total`, from `start_index`.
#[must_use]
pub fn render_list(resources: Vec<Value>, total: u64, start_index: u64) -> Value {
    json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
