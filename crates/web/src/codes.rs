//! The table of codes: what every problem of the administration API can be called, with its status.
//!
//! Made from the enums themselves: a refusal of the domain is in its list, and of every other error there are samples here;
//! a new one without any does not compile. The reference page, the OpenAPI document and clients' matches rest on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portcullis_domain::id::{ConnectionId, DirectoryId, MembershipId, TokenId};
use portcullis_domain::permission::Permission;
use portcullis_domain::token::Scope;
use portcullis_domain::{Random, Refusal, Timestamp};
use portcullis_service::ServiceError;
use portcullis_service::error::Taken;
use portcullis_service::noun::Noun;
use portcullis_service::saml::metadata::refusals;
use portcullis_store::{StoreError, UniqueKey};

use crate::error::{outside, status};

/// Problems with a request itself, found before any use case is asked.
pub const OF_REQUESTS: &[(&str, u16, &str)] = &[
    ("body_incomplete", 400, "the body broke off; nothing was changed, send it again"),
    ("body_too_large", 400, "the body has more bytes than this call takes"),
    ("body_too_slow", 408, "the body paused for too long or came too slowly"),
    ("internal", 500, "something went wrong on our side; the log has it under the request id"),
    ("invalid_field", 400, "a field, parameter or header is not what it must be"),
    ("invalid_json", 400, "the body is not JSON"),
    ("invalid_path", 400, "the path is not valid UTF-8"),
    ("invalid_request", 400, "the form does not have the one field that it must have"),
    ("method_not_allowed", 405, "the path does not take that method"),
    ("misdirected", 421, "the server answers under its public URL only"),
    ("missing_field", 400, "a required field is absent"),
    ("not_found", 404, "there is no such thing here, or nothing under this path"),
    ("unknown_field", 400, "a field or parameter is not known, and is named"),
    ("unsupported_encoding", 415, "the body is compressed: it is read as it stands only"),
];

/// One code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// The code. Stable.
    pub code: &'static str,
    /// The status that it comes with.
    pub status: u16,
    /// What it means, in a sentence.
    pub meaning: String,
}

/// Every code of a problem, in order.
#[must_use]
pub fn table() -> Vec<Code> {
    let mut found: BTreeMap<(&'static str, u16), String> = BTreeMap::new();
    for (code, status, meaning) in OF_REQUESTS {
        found.insert((code, *status), (*meaning).to_owned());
    }
    // What the sentence of one answer would say of all of them.
    let of_all = [
        (
            "forbidden",
            403,
            "the caller's role does not have the permission that the call needs; `detail` names it",
        ),
        (
            "missing_scope",
            403,
            "asking takes the root token or a service key with the scope that `detail` names",
        ),
        ("taken", 409, "something here is taken; `detail` says what"),
        (
            "unavailable",
            503,
            "the database did not answer in time and nothing was changed: try again. Where it was lost while it committed, \
             `detail` says that this is not known",
        ),
        (
            "agent_state",
            409,
            "the agent's state does not allow that; `detail` says which it is in, and what to do",
        ),
        (
            "in_use",
            409,
            "the thing is in use; `detail` says by what, or which call changes that, where one does",
        ),
    ];
    for (code, status, meaning) in of_all {
        found.insert((code, status), meaning.to_owned());
    }
    for error in errors() {
        found.entry((error.code(), status(&error).as_u16())).or_insert_with(|| meaning(&error));
    }
    found.into_iter().map(|((code, status), meaning)| Code { code, status, meaning }).collect()
}

/// The randomness of an id that stands for any.
struct Any;

impl Random for Any {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// What the outside hears of it, whichever thing it names.
fn meaning(error: &ServiceError) -> String {
    let any = TokenId::fresh(Timestamp::EPOCH, &mut Any).to_string();
    let digits = any.trim_start_matches(|c: char| !c.is_ascii_digit());
    outside(error).replace(digits, "…")
}

/// Samples of each variant of an error: one, many, or none where only other surfaces answer with it.
macro_rules! samples {
    ($name:ident of $error:ident {
        one { $($one:ident $(($($of:tt)*))? $({ $($with:tt)* })?;)* }
        many { $($many:ident => $some:expr;)* }
        none { $($none:ident;)* }
    }) => {
        /// Samples of every variant: one that stands nowhere below does not compile.
        fn $name() -> impl Iterator<Item = $error> {
            const _: fn(&$error) = |error| match error {
                $($error::$one { .. } => (),)*
                $($error::$many { .. } => (),)*
                $($error::$none { .. } => (),)*
            };
            [$($error::$one $(($($of)*))? $({ $($with)* })?),*].into_iter()$(.chain($some))*
        }
    };
}

samples!(errors of ServiceError {
    one {
        NotFound(Noun::Member);
        Unauthenticated;
        Forbidden(Permission::Use);
        MissingScope(Scope::Evaluate);
        RootOnly;
        Invalid { field: "field", message: "what it must be".to_owned() };
        DomainUnknown("example.com".to_owned());
        Taken(Taken::Member);
        SlugRetired;
        InUse(Noun::Member);
        UsedBy(Noun::Role, String::new());
        GovernsPeople;
        TokenSeenBelow(TokenId::fresh(Timestamp::EPOCH, &mut Any));
        SourceSetBelow(DirectoryId::fresh(Timestamp::EPOCH, &mut Any));
        ProviderChosenBelow(ConnectionId::fresh(Timestamp::EPOCH, &mut Any));
        ToldFromBelow(MembershipId::fresh(Timestamp::EPOCH, &mut Any));
        ChangedMeanwhile;
        BeyondEnd;
        IdentityNotAllowed;
        IdentityOff;
        NotAvailable("kind");
        IdempotencyMismatch;
        TooMany { retry_after_s: 1 };
        LinkInvalid;
        Upstream("the provider did not answer as it must".to_owned());
        Fault(String::new());
    }
    many {
        Refused => Refusal::all().map(ServiceError::Refused);
        Metadata => refusals().into_iter().map(|(code, message)| ServiceError::Metadata { code, message });
        Store => errors_of_the_store().map(ServiceError::Store);
    }
    // Sign-ins and consents answer with a page, SCIM with errors of its own; texts are in the list of the domain.
    none {
        Text;
        SignIn;
        Consent;
        Directory;
    }
});

samples!(errors_of_the_store of StoreError {
    one {
        Unavailable(String::new());
        OutcomeUnknown(String::new());
        Inconsistent(String::new());
        Fault(String::new());
        Statement { statement: "", message: String::new() };
        NotActive;
        Taken(UniqueKey::DomainName);
        WrongVersion(String::new());
        Held(String::new());
        Fenced;
    }
    many {}
    none {}
});

/// The reference page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every refusal of the administration API, of evaluations and of unknown paths is `application/problem+json`\n\
         (RFC 9457): `type`, `title`, `status`, a stable `code`, and a `detail` for people. Match on the code; the\n\
         sentences may change. SCIM, introspection (OAuth's, with our `code`), forward-auth (no body) and the sign-in\n\
         pages answer in their own forms.\n\n\
         A thing of another organization answers exactly as one that does not exist: 404 `not_found`. `429` and `503`\n\
         come with `Retry-After` in seconds.\n\n\
         This page is generated from the code, and a test holds the two together.\n\n\
         | Code | Status | Meaning |\n|---|---|---|\n",
    );
    for code in table() {
        let meaning = code.meaning.replace('|', "\\|");
        // Writing into a text does not fail.
        let _ = writeln!(page, "| `{}` | {} | {meaning} |", code.code, code.status);
    }
    page
}
