//! The tables of attributes: core user, core group, enterprise extension (RFC 7643 sections 4 and 8.7.1, with the
//! errata that were held), and the common attributes.
//!
//! `password` is not among them: this provider keeps none, so it does not tell clients that it takes one. A
//! password that is sent all the same is discarded by `user` and `patch`.

use crate::limits::{MAX_INDEXED_BYTES, MAX_INLINE_BYTES, MAX_TEXT_BYTES};
use crate::schema::{
    Attribute, AttributeType, Case, ENTERPRISE_SCHEMA, GROUP_SCHEMA, Mutability, Plurality, Presence,
    Returned, Schema, USER_SCHEMA, Uniqueness,
};

/// All schemas, in the order of the discovery document.
pub(crate) static SCHEMAS: [&Schema; 3] = [&USER, &ENTERPRISE, &GROUP];

/// The extensions of a user.
pub(crate) static USER_EXTENSIONS: [Schema; 1] = [ENTERPRISE_EXTENSION];

/// The attributes of each resource that no schema document lists (RFC 7643 section 3.1).
pub(crate) static COMMON: [Attribute; 4] = [
    text("id", "Identifier of the resource, given by the provider, never used again.")
        .exact()
        .read_only()
        .always()
        .indexed(),
    text("externalId", "Identifier of the resource at the client.").exact().indexed(),
    complex("meta", "What the provider knows about the resource.", &META_PARTS).read_only(),
    reference("schemas", "URNs of the schemas that the resource follows.", &["uri"])
        .many()
        .read_only()
        .always(),
];

static META_PARTS: [Attribute; 5] = [
    text("resourceType", "Name of the resource type.").exact().read_only(),
    instant("created", "When the resource was made.").read_only(),
    instant("lastModified", "When the resource was last changed.").read_only(),
    reference("location", "URI of the resource.", &["uri"]).read_only(),
    text("version", "Version of the resource.").exact().read_only(),
];

pub(crate) static USER: Schema =
    Schema { id: USER_SCHEMA, name: "User", description: "A person.", attributes: &USER_ATTRIBUTES };

static USER_ATTRIBUTES: [Attribute; 20] = [
    text(
        "userName",
        "Name that the person signs in with at the client's side. Letter case does not distinguish.",
    )
    .required()
    .unique()
    .indexed(),
    complex("name", "Parts of the person's name.", &NAME_PARTS),
    text("displayName", "Name to show.").indexed(),
    text("nickName", "Casual name."),
    reference("profileUrl", "Page about the person.", &["external"]),
    text("title", "Position in the organization."),
    text("userType", "Relation between the person and the organization."),
    text("preferredLanguage", "Language that the person prefers."),
    text("locale", "Locale for dates and numbers."),
    text("timezone", "Time zone."),
    boolean("active", "Whether the person may have access. False ends what the person has."),
    complex("emails", "E-mail addresses.", &EMAIL_PARTS).many(),
    complex("phoneNumbers", "Phone numbers.", &PHONE_PARTS).many(),
    complex("ims", "Instant messaging addresses.", &IM_PARTS).many(),
    complex("photos", "Pictures of the person.", &PHOTO_PARTS).many(),
    complex("addresses", "Postal addresses.", &ADDRESS_PARTS).many(),
    complex("groups", "Groups that the person is a member of.", &GROUPS_PARTS).many().read_only(),
    complex(
        "entitlements",
        "Entitlements at the client's side. They give access here only where a mapping names them.",
        &LABEL_PARTS,
    )
    .many(),
    complex(
        "roles",
        "Roles at the client's side. They give access here only where a mapping names them.",
        &LABEL_PARTS,
    )
    .many(),
    complex("x509Certificates", "Certificates of the person.", &CERTIFICATE_PARTS).many(),
];

static NAME_PARTS: [Attribute; 6] = [
    text("formatted", "Whole name to show."),
    text("familyName", "Family name."),
    text("givenName", "Given name."),
    text("middleName", "Middle names."),
    text("honorificPrefix", "Title before the name."),
    text("honorificSuffix", "Suffix after the name."),
];

static EMAIL_PARTS: [Attribute; 4] = [
    text("value", "E-mail address. Letter case is kept and does not distinguish.").indexed(),
    DISPLAY,
    text("type", "Kind of address.").canonical(&["work", "home", "other"]),
    PRIMARY,
];

static PHONE_PARTS: [Attribute; 4] = [
    text("value", "Phone number."),
    DISPLAY,
    text("type", "Kind of number.").canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

static IM_PARTS: [Attribute; 4] = [
    text("value", "Instant messaging address."),
    DISPLAY,
    text("type", "Kind of service.")
        .canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

static PHOTO_PARTS: [Attribute; 4] = [
    reference("value", "URI of the picture.", &["external"]),
    DISPLAY,
    text("type", "Kind of picture.").canonical(&["photo", "thumbnail"]),
    PRIMARY,
];

static ADDRESS_PARTS: [Attribute; 8] = [
    text("formatted", "Whole address as for a label."),
    text("streetAddress", "Street and number."),
    text("locality", "City."),
    text("region", "State or region."),
    text("postalCode", "Postal code."),
    text("country", "Country, as a code of two letters."),
    text("type", "Kind of address.").canonical(&["work", "home", "other"]),
    PRIMARY,
];

static GROUPS_PARTS: [Attribute; 4] = [
    text("value", "Identifier of the group.").exact().read_only(),
    reference("$ref", "URI of the group.", &["Group"]).read_only(),
    text("display", "Name of the group.").read_only(),
    text("type", "Always `direct`: groups above these are not listed.").canonical(&["direct"]).read_only(),
];

static LABEL_PARTS: [Attribute; 4] =
    [text("value", "The value."), DISPLAY, text("type", "Kind of value."), PRIMARY];

static CERTIFICATE_PARTS: [Attribute; 4] = [
    Attribute {
        kind: AttributeType::Binary,
        case: Case::Exact,
        max_bytes: MAX_INLINE_BYTES,
        ..text("value", "DER certificate in base64.")
    },
    DISPLAY,
    text("type", "Kind of certificate."),
    PRIMARY,
];

const DISPLAY: Attribute = text("display", "Name to show for the value.");
const PRIMARY: Attribute =
    boolean("primary", "Whether the value is the preferred one. At most one value is.");

static ENTERPRISE: Schema = ENTERPRISE_EXTENSION;

const ENTERPRISE_EXTENSION: Schema = Schema {
    id: ENTERPRISE_SCHEMA,
    name: "EnterpriseUser",
    description: "What an enterprise knows about a person.",
    attributes: &ENTERPRISE_ATTRIBUTES,
};

static ENTERPRISE_ATTRIBUTES: [Attribute; 6] = [
    text("employeeNumber", "Number of the person in the organization."),
    text("costCenter", "Cost center."),
    text("organization", "Organization."),
    text("division", "Division."),
    text("department", "Department."),
    complex("manager", "The person's manager.", &MANAGER_PARTS),
];

static MANAGER_PARTS: [Attribute; 3] = [
    text("value", "Identifier of the manager.").exact().indexed(),
    reference("$ref", "URI of the manager.", &["User"]),
    text("displayName", "Name of the manager.").read_only().never(),
];

pub(crate) static GROUP: Schema = Schema {
    id: GROUP_SCHEMA,
    name: "Group",
    description: "A set of people.",
    attributes: &GROUP_ATTRIBUTES,
};

static GROUP_ATTRIBUTES: [Attribute; 2] = [
    text("displayName", "Name to show. Letter case does not distinguish.").required().unique().indexed(),
    complex("members", "Members of the group.", &MEMBER_PARTS).many(),
];

static MEMBER_PARTS: [Attribute; 4] = [
    text("value", "Identifier of the member.").exact().immutable().indexed(),
    reference("$ref", "URI of the member.", &["User", "Group"]).immutable(),
    text("type", "Kind of the member.").canonical(&["User", "Group"]).immutable(),
    text("display", "Name of the member.").read_only().never(),
];

const fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        name,
        description,
        kind: AttributeType::String,
        plurality: Plurality::Singular,
        presence: Presence::Optional,
        case: Case::Insensitive,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        canonical_values: &[],
        reference_types: &[],
        sub_attributes: &[],
        max_bytes: MAX_TEXT_BYTES,
    }
}

const fn boolean(name: &'static str, description: &'static str) -> Attribute {
    Attribute { kind: AttributeType::Boolean, ..text(name, description) }
}

const fn instant(name: &'static str, description: &'static str) -> Attribute {
    Attribute { kind: AttributeType::DateTime, ..text(name, description) }
}

const fn reference(
    name: &'static str,
    description: &'static str,
    reference_types: &'static [&'static str],
) -> Attribute {
    Attribute {
        kind: AttributeType::Reference,
        case: Case::Exact,
        reference_types,
        max_bytes: MAX_INLINE_BYTES,
        ..text(name, description)
    }
}

const fn complex(
    name: &'static str,
    description: &'static str,
    sub_attributes: &'static [Attribute],
) -> Attribute {
    Attribute { kind: AttributeType::Complex, sub_attributes, ..text(name, description) }
}

impl Attribute {
    const fn exact(mut self) -> Self {
        self.case = Case::Exact;
        self
    }

    const fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    const fn many(mut self) -> Self {
        self.plurality = Plurality::MultiValued;
        self
    }

    const fn read_only(mut self) -> Self {
        self.mutability = Mutability::ReadOnly;
        self
    }

    const fn immutable(mut self) -> Self {
        self.mutability = Mutability::Immutable;
        self
    }

    const fn always(mut self) -> Self {
        self.returned = Returned::Always;
        self
    }

    const fn never(mut self) -> Self {
        self.returned = Returned::Never;
        self
    }

    const fn indexed(mut self) -> Self {
        self.max_bytes = MAX_INDEXED_BYTES;
        self
    }

    const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical_values = values;
        self
    }
}
