//! What an answer must be.
//!
//! Here once, so that every provider's run means the same by a list, a resource or an error.

use serde_json::Value;

use crate::dialect::{GROUP_SCHEMA, USER_SCHEMA};
use crate::people::PersonState;
use crate::scim_client::Answer;

use super::made::{Kind, is_usable};
use super::run::{Halt, Run};
use super::step::{Weight, quoted, quoted_value};

const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What is sent and must come back: name for people, pointer, and whether every provider needs it.
const ECHOED: [(&str, &str, Weight); 9] = [
    ("userName", "/userName", Weight::Must),
    ("active", "/active", Weight::Must),
    ("the work address", "/emails/0/value", Weight::Must),
    ("externalId", "/externalId", Weight::Should),
    ("displayName", "/displayName", Weight::Should),
    ("name.givenName", "/name/givenName", Weight::Should),
    ("name.familyName", "/name/familyName", Weight::Should),
    ("title", "/title", Weight::Should),
    ("the phone number", "/phoneNumbers/0/value", Weight::Should),
];

/// How many resources a list must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hits {
    Exactly(usize),
    Any,
}

impl Run<'_> {
    /// One of these statuses.
    pub(super) fn status(&mut self, answer: &Answer, any_of: &[u16]) {
        let words: Vec<String> = any_of.iter().map(u16::to_string).collect();
        self.must(any_of.contains(&answer.status), &format!("status {}", words.join(" or ")), || {
            said(answer)
        });
    }

    /// JSON, and best under SCIM's own name.
    pub(super) fn json(&mut self, answer: &Answer) {
        self.must(answer.body.is_some(), "a JSON body", || {
            answer.text.as_deref().map_or_else(|| "no body".to_owned(), |text| format!("`{}`", quoted(text)))
        });
        let content_type = answer.content_type.as_deref().unwrap_or_default();
        let scim =
            content_type.starts_with("application/scim+json") || content_type.starts_with("application/json");
        self.should(scim, "content type `application/scim+json`", || format!("`{}`", quoted(content_type)));
    }

    /// A ListResponse with so many hits.
    pub(super) fn list(&mut self, answer: &Answer, hits: Hits) {
        self.status(answer, &[200]);
        if answer.status != 200 {
            return;
        }
        self.json(answer);
        let body = answer.body.as_ref();
        self.must(has_schema(body, LIST_SCHEMA), "a ListResponse", || {
            format!("schemas {}", quoted_value(body.and_then(|body| body.get("schemas"))))
        });
        let number = |name: &str| body.and_then(|body| body.get(name));
        for name in ["totalResults", "startIndex", "itemsPerPage"] {
            let value = number(name);
            // RFC 7644 §3.4.2.4: the last two are required only where the answer is a part of the whole.
            let held = value.is_some_and(Value::is_u64) || (value.is_none() && name != "totalResults");
            self.must(held, &format!("`{name}` as a JSON number"), || quoted_value(value));
        }
        let Hits::Exactly(wanted) = hits else { return };
        let total = number("totalResults").and_then(Value::as_u64);
        self.must(total == u64::try_from(wanted).ok(), &format!("`totalResults` {wanted}"), || {
            quoted_value(number("totalResults"))
        });
        let got = answer.resources().len();
        self.must(got == wanted, &format!("{wanted} resources"), || format!("{got}"));
        if wanted == 0 {
            let there = number("Resources").is_some_and(Value::is_array);
            self.should(there, "`Resources` as an empty list", || quoted_value(number("Resources")));
        }
    }

    /// Exactly the one with this id.
    pub(super) fn finds(&mut self, answer: &Answer, id: &str) {
        self.list(answer, Hits::Exactly(1));
        if answer.status == 200 {
            let found = answer.found_id().map(quoted);
            self.must(answer.found_id() == Some(id), "the one with its id", || {
                found.map_or_else(|| "another".to_owned(), |found| format!("`{found}`"))
            });
        }
    }

    /// A whole resource of that kind; its id.
    pub(super) fn resource(&mut self, answer: &Answer, kind: Kind) -> Option<String> {
        self.json(answer);
        let body = answer.body.as_ref();
        let schema = match kind {
            Kind::User => USER_SCHEMA,
            Kind::Group => GROUP_SCHEMA,
        };
        self.must(has_schema(body, schema), &format!("a {} by its `schemas`", kind.word()), || {
            quoted_value(body.and_then(|body| body.get("schemas")))
        });
        let id = answer.id().filter(|id| is_usable(id)).map(str::to_owned);
        self.must(id.is_some(), "an `id`", || quoted_value(body.and_then(|body| body.get("id"))));
        id
    }

    /// What a creation must be answered with; the id.
    ///
    /// # Errors
    /// [`Halt`] if there is no id to go on with.
    pub(super) fn created(&mut self, answer: &Answer, kind: Kind) -> Result<String, Halt> {
        self.status(answer, &[201]);
        let id = if (200..300).contains(&answer.status) { self.resource(answer, kind) } else { None };
        let Some(id) = id else {
            return Err(Halt::CannotGoOn(format!("no {} was created, and the rest needs one", kind.word())));
        };
        // RFC 7644 §3.3.
        let own =
            answer.body.as_ref().and_then(|body| body.pointer("/meta/location")).and_then(Value::as_str);
        let header = answer.location.as_deref();
        let named = header.is_some_and(|at| at.ends_with(&id));
        self.check(self.location_weight(), "`Location` with the address of what was made", || {
            (!named).then(|| header.map_or_else(|| "none".to_owned(), |at| format!("`{}`", quoted(at))))
        });
        self.should(own.is_some() && own == header, "`meta.location` equal to `Location`", || {
            own.map_or_else(|| "none".to_owned(), |at| format!("`{}`", quoted(at)))
        });
        Ok(id)
    }

    /// Every value as it was sent, to the letter; what hangs on each is as the provider takes it.
    pub(super) fn echoes(&mut self, sent: &Value, got: Option<&Value>) {
        let least = if self.dialect().is_entra() { Weight::Must } else { Weight::Should };
        self.echoes_at_least(sent, got, least);
    }

    /// The same, where so much hangs on every value.
    pub(super) fn echoes_at_least(&mut self, sent: &Value, got: Option<&Value>, least: Weight) {
        for (name, pointer, weight) in ECHOED {
            let Some(wanted) = sent.pointer(pointer).filter(|value| !value.is_null()) else { continue };
            let value = got.and_then(|got| got.pointer(pointer));
            let weight = if least == Weight::Must { least } else { weight };
            self.check(weight, &format!("{name} as it was sent"), || {
                let came = quoted_value(value);
                (value != Some(wanted)).then(|| format!("{came} for `{}`", quoted(&wanted.to_string())))
            });
        }
        let shown = got.is_some_and(|got| got.get("password").is_some());
        self.must(!shown, "no password in the answer", || "one".to_owned());
    }

    /// An error of SCIM's own form.
    pub(super) fn refusal(&mut self, answer: &Answer, status: u16) {
        self.status(answer, &[status]);
        let body = answer.body.as_ref();
        let own = body.and_then(|body| body.get("status"));
        let formed =
            has_schema(body, ERROR_SCHEMA) && own.and_then(Value::as_str) == Some(&*status.to_string());
        self.check(self.error_weight(), "a SCIM error whose `status` is text", || {
            (!formed).then(|| quoted_value(body))
        });
    }

    /// Okta and Entra read the body of an error; of the others nobody knows.
    fn error_weight(&self) -> Weight {
        if self.dialect() == crate::Dialect::Okta || self.dialect().is_entra() {
            Weight::Must
        } else {
            Weight::Should
        }
    }

    /// Microsoft asks for it, and so does the standard; that the others read it is nowhere said.
    fn location_weight(&self) -> Weight {
        if self.dialect().is_entra() || self.dialect() == crate::Dialect::Keycloak {
            Weight::Must
        } else {
            Weight::Should
        }
    }

    /// `active` as the boolean of that state.
    pub(super) fn has_state(&mut self, user: Option<&Value>, state: PersonState) {
        let wanted = state == PersonState::Active;
        let value = user.and_then(|user| user.get("active"));
        self.must(value == Some(&Value::Bool(wanted)), &format!("`active` is {wanted}"), || {
            quoted_value(value)
        });
    }
}

/// Status and, if there is one, the server's own reason.
pub(super) fn said(answer: &Answer) -> String {
    let detail = answer.body.as_ref().and_then(|body| body.get("detail")).and_then(Value::as_str);
    match (detail, &answer.text) {
        (Some(detail), _) => format!("{}: `{}`", answer.status, quoted(detail)),
        (None, Some(text)) => format!("{}: `{}`", answer.status, quoted(text)),
        (None, None) => answer.status.to_string(),
    }
}

fn has_schema(body: Option<&Value>, schema: &str) -> bool {
    let schemas = body.and_then(|body| body.get("schemas")).and_then(Value::as_array);
    schemas.is_some_and(|schemas| schemas.iter().any(|one| one.as_str() == Some(schema)))
}
