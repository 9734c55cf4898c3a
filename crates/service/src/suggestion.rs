//! What a provider sent at a sign-in, and which claim or attribute would serve for what: for whoever sets a connection up.
//!
//! It stands in the trace of the sign-in, whether that went well or not, and goes with it. Names are shown, values only
//! so far that somebody who knows the value recognises it: a trace of a person's sign-in is read by administrators who
//! need not know where that person lives.

use portcullis_domain::Timestamp;
use portcullis_domain::connection::Connection;
use portcullis_domain::id::{ConnectionId, OrganizationId, TraceId};
use portcullis_oidc::claims::{IdentityClaims, SaidIn, SubjectSource};
use portcullis_saml::attribute::Attributes;
use portcullis_saml::preset::suggest;
use portcullis_store::trace::TraceFilter;
use portcullis_store::{Tx, connection, trace};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ServiceError;
use crate::claims::is_of_the_sign_in;
use crate::noun::Noun;
use crate::oidc::preset;

/// The most claims or attributes that are kept of one sign-in: real ones send a few dozen.
const MAX_SENT: usize = 60;
/// The longest name that is kept, in characters: URIs of SAML have a hundred.
const MAX_NAME: usize = 128;
/// The shortest text of which the first letter is shown, in characters.
const MIN_SHOWN: usize = 3;
/// How many sign-ins are looked at for the newest that got as far as a person.
const MAX_LOOKED_AT: i64 = 20;

/// One claim or attribute, its value masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its name, or the path to it, cut.
    pub name: String,
    /// `text`, `texts`, `number`, `boolean`, `object`, `list` or `empty`.
    pub kind: String,
    /// How many values it has.
    pub values: usize,
    /// The first value, masked.
    pub sample: Option<String>,
    /// Where it came: `id_token`, `userinfo` or `assertion`.
    pub said_in: String,
}

/// Which names would serve; none where nothing that came would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggested {
    /// What names the person for good.
    pub subject: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// Groups, for `groups_claim`.
    pub groups: Option<String>,
}

/// What came at one sign-in, and what would serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// What came, the first 60.
    pub sent: Vec<Sent>,
    /// What would serve.
    pub suggested: Suggested,
}

/// The newest sign-in by a connection that got as far as a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// Its trace.
    pub trace: TraceId,
    /// How it ended.
    pub outcome: String,
    /// What came.
    pub brought: Brought,
}

/// So much of a value that somebody who knows it recognises it: the first letter and the length, and of an address the
/// domain, which a set-up turns on.
#[must_use]
pub fn masked(value: &str) -> String {
    // The first letter of a short one would be most of it.
    let begin = |text: &str| {
        let first = text.chars().next().filter(|c| !c.is_control() && text.chars().count() >= MIN_SHOWN);
        first.map(String::from).unwrap_or_default()
    };
    let is_domain = |text: &str| {
        text.contains('.')
            && text.len() <= MAX_NAME
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
    };
    match value.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && is_domain(domain) => {
            format!("{}…@{domain}", begin(local))
        }
        _ => format!("{}… ({} characters)", begin(value), value.chars().count()),
    }
}

fn cut(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

impl Sent {
    fn of_claim(name: &str, value: &Value, said_in: SaidIn) -> Self {
        let texts: Vec<&str> =
            value.as_array().map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_str).collect());
        let (kind, values, sample) = match value {
            Value::Null => ("empty", 0, None),
            Value::Bool(yes) => ("boolean", 1, Some(yes.to_string())),
            Value::Number(_) => ("number", 1, None),
            Value::String(text) => ("text", 1, Some(masked(text))),
            Value::Array(all) if all.is_empty() => ("empty", 0, None),
            Value::Array(all) if texts.len() == all.len() => {
                ("texts", all.len(), texts.first().map(|t| masked(t)))
            }
            Value::Array(all) => ("list", all.len(), None),
            Value::Object(members) => ("object", members.len(), None),
        };
        let said_in = match said_in {
            SaidIn::IdToken => "id_token",
            SaidIn::UserInfo => "userinfo",
        };
        Self { name: cut(name), kind: kind.to_owned(), values, sample, said_in: said_in.to_owned() }
    }
}

/// What the claims of a person bring.
#[must_use]
pub fn of_claims(connection: &Connection, claims: &IdentityClaims) -> Brought {
    let claims = claims.clone().read_as(preset::in_force(connection));
    let mut sent = Vec::new();
    for (name, value, said_in) in claims.all().filter(|(name, ..)| !is_of_the_sign_in(name)) {
        sent.push(Sent::of_claim(name, value, said_in));
        // One level down: where Keycloak has its roles.
        for (inner, value) in value.as_object().into_iter().flatten() {
            sent.push(Sent::of_claim(&format!("{name}.{inner}"), value, said_in));
        }
        if sent.len() >= MAX_SENT {
            break;
        }
    }
    sent.truncate(MAX_SENT);
    let usual = claims.usual_groups_claim();
    let groups = if claims.find(usual).is_some() { Some(usual.to_owned()) } else { like_groups(&claims) };
    let suggested = Suggested {
        subject: Some(match preset::in_force(connection).subject_source() {
            SubjectSource::Sub => "sub".to_owned(),
            SubjectSource::EntraObject => "tid, oid".to_owned(),
        }),
        email: claims.email().map(|_| "email".to_owned()),
        name: ["name", "given_name", "family_name", "preferred_username"]
            .iter()
            .find(|name| claims.find_text(name).is_some())
            .map(|n| (*n).to_owned()),
        groups,
    };
    Brought { sent, suggested }
}

/// A claim of texts whose name speaks of groups or roles.
fn like_groups(claims: &IdentityClaims) -> Option<String> {
    let texts = claims.texts();
    let speaks = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["group", "memberof", "role"].iter().position(|word| name.contains(word))
    };
    let found = texts.keys().filter(|name| !is_of_the_sign_in(name));
    found.filter_map(|name| Some((speaks(name)?, name))).min().map(|(_, name)| name.clone())
}

/// What the attributes of a person bring.
#[must_use]
pub fn of_attributes(attributes: &Attributes) -> Brought {
    let sent = attributes.all().iter().take(MAX_SENT).map(|attribute| Sent {
        name: cut(&attribute.name),
        kind: match attribute.values.len() {
            0 => "empty",
            1 => "text",
            _ => "texts",
        }
        .to_owned(),
        values: attribute.values.len(),
        sample: attribute.values.first().map(|value| masked(value)),
        said_in: "assertion".to_owned(),
    });
    let names = suggest(attributes);
    let suggested = Suggested {
        subject: names.immutable_id,
        email: names.email,
        name: names.display_name.or(names.given_name),
        groups: names.groups,
    };
    Brought { sent: sent.collect(), suggested }
}

/// The newest sign-in by a connection that got as far as a person, if its trace is still there.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ConnectionId,
) -> Result<Option<Seen>, ServiceError> {
    connection::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Connection))?;
    let source = id.to_string();
    let filter = TraceFilter { kind: Some("sign_in"), source: Some(&source), ..TraceFilter::default() };
    for found in trace::list(tx, organization, filter, None, MAX_LOOKED_AT)? {
        // A trace that was too large to keep whole brings nothing.
        let content: Value = serde_json::from_str(&found.content).unwrap_or_default();
        let brought = content.pointer("/claims/brought").cloned();
        if let Some(brought) = brought.and_then(|brought| serde_json::from_value(brought).ok()) {
            return Ok(Some(Seen { at: found.created_at, trace: found.id, outcome: found.outcome, brought }));
        }
    }
    Ok(None)
}
