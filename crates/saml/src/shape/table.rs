//! The table of shapes, from the envelope inwards.
//!
//! Here apart from the walk, so that what is allowed can be read as one list beside the schemas.

use super::{Content, Foreign, Part, Shape};
use crate::document::Name;
use crate::names as n;

const fn shape(name: Name, required: &'static [&'static str], content: Content) -> Shape {
    Shape { name, required, optional: &[], foreign: Foreign::Refused, content }
}

impl Shape {
    const fn optional(mut self, optional: &'static [&'static str]) -> Self {
        self.optional = optional;
        self
    }

    const fn with_foreign_attributes(mut self) -> Self {
        self.foreign = Foreign::Allowed;
        self
    }
}

const fn one(shape: &'static Shape) -> Part {
    Part { shape, min: 1, max: 1 }
}

const fn at_most(max: usize, shape: &'static Shape) -> Part {
    Part { shape, min: 0, max }
}

const fn some(max: usize, shape: &'static Shape) -> Part {
    Part { shape, min: 1, max }
}

const fn in_order(first: &'static [Part]) -> Content {
    Content::Elements { first, then: &[] }
}

// ---- Messages (SAML Core §3.2.2, §3.7) ------------------------------------------------------------------------------

const MESSAGE: &[&str] = &["ID", "Version", "IssueInstant"];

/// `samlp:Response`.
pub(crate) static RESPONSE_SHAPE: Shape = shape(
    n::RESPONSE,
    MESSAGE,
    in_order(&[
        at_most(1, &ISSUER),
        at_most(1, &SIGNATURE_SHAPE),
        one(&STATUS),
        // Counted by the caller, who can say it better.
        at_most(usize::MAX, &ASSERTION_SHAPE),
        at_most(usize::MAX, &ENCRYPTED_ASSERTION),
    ]),
)
.optional(&["InResponseTo", "Destination", "Consent"]);

/// `samlp:LogoutRequest`.
pub(crate) static LOGOUT_REQUEST_SHAPE: Shape = shape(
    n::LOGOUT_REQUEST,
    MESSAGE,
    in_order(&[
        one(&ISSUER),
        at_most(1, &SIGNATURE_SHAPE),
        // One of both, which the caller asks for.
        at_most(1, &NAME_ID),
        at_most(1, &ENCRYPTED_ID),
        at_most(crate::logout::MAX_SESSION_INDEXES, &SESSION_INDEX),
    ]),
)
.optional(&["Destination", "Consent", "NotOnOrAfter", "Reason"]);

/// `samlp:LogoutResponse`.
pub(crate) static LOGOUT_RESPONSE_SHAPE: Shape =
    shape(n::LOGOUT_RESPONSE, MESSAGE, in_order(&[one(&ISSUER), at_most(1, &SIGNATURE_SHAPE), one(&STATUS)]))
        .optional(&["InResponseTo", "Destination", "Consent"]);

static SESSION_INDEX: Shape = shape(n::SESSION_INDEX, &[], Content::Text);

static STATUS: Shape = shape(
    n::STATUS,
    &[],
    in_order(&[one(&STATUS_CODE), at_most(1, &STATUS_MESSAGE), at_most(1, &STATUS_DETAIL)]),
);
static STATUS_CODE: Shape = shape(n::STATUS_CODE, &["Value"], in_order(&[at_most(1, &SECOND_STATUS_CODE)]));
static SECOND_STATUS_CODE: Shape = shape(n::STATUS_CODE, &["Value"], Content::Empty);
static STATUS_MESSAGE: Shape = shape(n::STATUS_MESSAGE, &[], Content::Text);
static STATUS_DETAIL: Shape = shape(n::STATUS_DETAIL, &[], Content::Unread);

// ---- Assertions (SAML Core §2) --------------------------------------------------------------------------------------

static ISSUER: Shape =
    shape(n::ISSUER, &[], Content::Text).optional(&["Format", "NameQualifier", "SPNameQualifier"]);

/// `saml:Assertion`.
pub(crate) static ASSERTION_SHAPE: Shape = shape(
    n::THE_ASSERTION,
    MESSAGE,
    Content::Elements {
        first: &[one(&ISSUER), at_most(1, &SIGNATURE_SHAPE), one(&SUBJECT), one(&CONDITIONS)],
        then: &[some(8, &AUTHN_STATEMENT), at_most(8, &ATTRIBUTE_STATEMENT)],
    },
);

static SUBJECT: Shape =
    shape(n::SUBJECT, &[], in_order(&[at_most(1, &NAME_ID), some(8, &SUBJECT_CONFIRMATION)]));

/// `saml:NameID`.
pub(crate) static NAME_ID: Shape = shape(n::NAME_ID, &[], Content::Text).optional(&[
    "Format",
    "NameQualifier",
    "SPNameQualifier",
    "SPProvidedID",
]);

static SUBJECT_CONFIRMATION: Shape = shape(
    n::SUBJECT_CONFIRMATION,
    &["Method"],
    in_order(&[at_most(1, &NAME_ID), at_most(1, &SUBJECT_CONFIRMATION_DATA)]),
);
static SUBJECT_CONFIRMATION_DATA: Shape = shape(n::SUBJECT_CONFIRMATION_DATA, &[], Content::Empty)
    .optional(&["NotBefore", "NotOnOrAfter", "Recipient", "InResponseTo", "Address"]);

static CONDITIONS: Shape = shape(
    n::CONDITIONS,
    &[],
    Content::Elements {
        first: &[],
        then: &[some(8, &AUDIENCE_RESTRICTION), at_most(1, &ONE_TIME_USE), at_most(1, &PROXY_RESTRICTION)],
    },
)
.optional(&["NotBefore", "NotOnOrAfter"]);
static AUDIENCE_RESTRICTION: Shape = shape(n::AUDIENCE_RESTRICTION, &[], in_order(&[some(32, &AUDIENCE)]));
static AUDIENCE: Shape = shape(n::AUDIENCE, &[], Content::Text);
static ONE_TIME_USE: Shape = shape(n::ONE_TIME_USE, &[], Content::Empty);
static PROXY_RESTRICTION: Shape =
    shape(n::PROXY_RESTRICTION, &[], in_order(&[at_most(32, &AUDIENCE)])).optional(&["Count"]);

static AUTHN_STATEMENT: Shape = shape(
    n::AUTHN_STATEMENT,
    &["AuthnInstant"],
    in_order(&[at_most(1, &SUBJECT_LOCALITY), one(&AUTHN_CONTEXT)]),
)
.optional(&["SessionIndex", "SessionNotOnOrAfter"]);
static SUBJECT_LOCALITY: Shape =
    shape(n::SUBJECT_LOCALITY, &[], Content::Empty).optional(&["Address", "DNSName"]);
static AUTHN_CONTEXT: Shape = shape(
    n::AUTHN_CONTEXT,
    &[],
    in_order(&[
        at_most(1, &AUTHN_CONTEXT_CLASS_REF),
        at_most(1, &AUTHN_CONTEXT_DECL_REF),
        at_most(8, &AUTHENTICATING_AUTHORITY),
    ]),
);
static AUTHN_CONTEXT_CLASS_REF: Shape = shape(n::AUTHN_CONTEXT_CLASS_REF, &[], Content::Text);
static AUTHN_CONTEXT_DECL_REF: Shape = shape(n::AUTHN_CONTEXT_DECL_REF, &[], Content::Text);
static AUTHENTICATING_AUTHORITY: Shape = shape(n::AUTHENTICATING_AUTHORITY, &[], Content::Text);

static ATTRIBUTE_STATEMENT: Shape =
    shape(n::ATTRIBUTE_STATEMENT, &[], in_order(&[at_most(crate::attribute::MAX_ATTRIBUTES, &ATTRIBUTE)]));
// ADFS says who issued an attribute first, Shibboleth how it is encoded: attributes of their own namespaces.
static ATTRIBUTE: Shape =
    shape(n::ATTRIBUTE, &["Name"], in_order(&[at_most(crate::attribute::MAX_VALUES, &ATTRIBUTE_VALUE)]))
        .optional(&["NameFormat", "FriendlyName"])
        .with_foreign_attributes();
// eduPersonTargetedID holds a name identifier instead of text.
static ATTRIBUTE_VALUE: Shape =
    shape(n::ATTRIBUTE_VALUE, &[], Content::TextOr(&at_most(1, &NAME_ID))).with_foreign_attributes();

// ---- Signatures (XML Signature §4) ----------------------------------------------------------------------------------

/// `ds:Signature`.
pub(crate) static SIGNATURE_SHAPE: Shape =
    shape(n::SIGNATURE, &[], in_order(&[one(&SIGNED_INFO), one(&SIGNATURE_VALUE), at_most(1, &KEY_INFO)]))
        .optional(&["Id"]);
static SIGNED_INFO: Shape = shape(
    n::SIGNED_INFO,
    &[],
    in_order(&[one(&CANONICALIZATION_METHOD), one(&SIGNATURE_METHOD), one(&REFERENCE)]),
)
.optional(&["Id"]);
static CANONICALIZATION_METHOD: Shape =
    shape(n::CANONICALIZATION_METHOD, &["Algorithm"], in_order(&[at_most(1, &INCLUSIVE_NAMESPACES)]));
static INCLUSIVE_NAMESPACES: Shape = shape(n::INCLUSIVE_NAMESPACES, &["PrefixList"], Content::Empty);
static SIGNATURE_METHOD: Shape = shape(n::SIGNATURE_METHOD, &["Algorithm"], Content::Empty);
static REFERENCE: Shape =
    shape(n::REFERENCE, &["URI"], in_order(&[one(&TRANSFORMS), one(&DIGEST_METHOD), one(&DIGEST_VALUE)]))
        .optional(&["Id"]);
static TRANSFORMS: Shape = shape(n::TRANSFORMS, &[], in_order(&[some(2, &TRANSFORM)]));
static TRANSFORM: Shape = shape(n::TRANSFORM, &["Algorithm"], in_order(&[at_most(1, &INCLUSIVE_NAMESPACES)]));
static DIGEST_METHOD: Shape = shape(n::DIGEST_METHOD, &["Algorithm"], Content::Empty);
static DIGEST_VALUE: Shape = shape(n::DIGEST_VALUE, &[], Content::Text);
static SIGNATURE_VALUE: Shape = shape(n::SIGNATURE_VALUE, &[], Content::Text).optional(&["Id"]);
static KEY_INFO: Shape = shape(n::KEY_INFO, &[], Content::Unread).optional(&["Id"]);

// ---- Encryption (XML Encryption §3) ---------------------------------------------------------------------------------

const ENCRYPTED: &[&str] = &["Id", "Type", "MimeType", "Encoding"];

static ENCRYPTED_ASSERTION: Shape =
    shape(n::ENCRYPTED_ASSERTION, &[], in_order(&[one(&ENCRYPTED_DATA), at_most(4, &ENCRYPTED_KEY)]));
static ENCRYPTED_ID: Shape =
    shape(n::ENCRYPTED_ID, &[], in_order(&[one(&ENCRYPTED_DATA), at_most(4, &ENCRYPTED_KEY)]));
static ENCRYPTED_DATA: Shape =
    shape(n::ENCRYPTED_DATA, &[], in_order(&[one(&ENCRYPTION_METHOD), at_most(1, &KEYS), one(&CIPHER_DATA)]))
        .optional(ENCRYPTED);
/// `ds:KeyInfo` of encrypted data: the wrapped keys, or where they stand.
static KEYS: Shape =
    shape(n::KEY_INFO, &[], in_order(&[at_most(4, &RETRIEVAL_METHOD), at_most(4, &ENCRYPTED_KEY)]))
        .optional(&["Id"]);
static RETRIEVAL_METHOD: Shape = shape(n::RETRIEVAL_METHOD, &["URI"], Content::Empty).optional(&["Type"]);
static ENCRYPTED_KEY: Shape = shape(
    n::ENCRYPTED_KEY,
    &[],
    in_order(&[
        one(&ENCRYPTION_METHOD),
        at_most(1, &KEY_INFO),
        one(&CIPHER_DATA),
        at_most(1, &REFERENCE_LIST),
        at_most(1, &CARRIED_KEY_NAME),
    ]),
)
.optional(&["Id", "Type", "MimeType", "Encoding", "Recipient"]);
static ENCRYPTION_METHOD: Shape = shape(
    n::ENCRYPTION_METHOD,
    &["Algorithm"],
    Content::Elements {
        first: &[at_most(1, &KEY_SIZE), at_most(1, &OAEP_PARAMS)],
        then: &[at_most(1, &DIGEST_METHOD), at_most(1, &MGF)],
    },
);
static KEY_SIZE: Shape = shape(n::KEY_SIZE, &[], Content::Text);
static OAEP_PARAMS: Shape = shape(n::OAEP_PARAMS, &[], Content::Text);
static MGF: Shape = shape(n::MGF, &["Algorithm"], Content::Empty);
static CIPHER_DATA: Shape = shape(n::CIPHER_DATA, &[], in_order(&[one(&CIPHER_VALUE)]));
static CIPHER_VALUE: Shape = shape(n::CIPHER_VALUE, &[], Content::LongText);
static REFERENCE_LIST: Shape = shape(n::REFERENCE_LIST, &[], in_order(&[at_most(4, &DATA_REFERENCE)]));
static DATA_REFERENCE: Shape = shape(n::DATA_REFERENCE, &["URI"], Content::Empty);
static CARRIED_KEY_NAME: Shape = shape(n::CARRIED_KEY_NAME, &[], Content::Text);
