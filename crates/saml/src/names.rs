//! The names of SAML, XML Signature and XML Encryption, written once.
//!
//! Here so that an element is only ever known by namespace and local part together.

use crate::document::Name;

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
pub(crate) const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
pub(crate) const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
pub(crate) const STATUS_SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
pub(crate) const STATUS_PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";
pub(crate) const STATUS_REQUESTER: &str = "urn:oasis:names:tc:SAML:2.0:status:Requester";
pub(crate) const FORMAT_ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
pub(crate) const BINDING_REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(crate) const BINDING_POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

macro_rules! names {
    ($($constant:ident = $space:ident $local:literal;)*) => {
        $(pub(crate) const $constant: Name = Name { space: $space, local: $local };)*
    };
}

names! {
    RESPONSE = PROTOCOL "Response";
    LOGOUT_REQUEST = PROTOCOL "LogoutRequest";
    LOGOUT_RESPONSE = PROTOCOL "LogoutResponse";
    SESSION_INDEX = PROTOCOL "SessionIndex";
    STATUS = PROTOCOL "Status";
    STATUS_CODE = PROTOCOL "StatusCode";
    STATUS_MESSAGE = PROTOCOL "StatusMessage";
    STATUS_DETAIL = PROTOCOL "StatusDetail";
    ISSUER = ASSERTION "Issuer";
    THE_ASSERTION = ASSERTION "Assertion";
    ENCRYPTED_ASSERTION = ASSERTION "EncryptedAssertion";
    ENCRYPTED_ID = ASSERTION "EncryptedID";
    SUBJECT = ASSERTION "Subject";
    NAME_ID = ASSERTION "NameID";
    SUBJECT_CONFIRMATION = ASSERTION "SubjectConfirmation";
    SUBJECT_CONFIRMATION_DATA = ASSERTION "SubjectConfirmationData";
    CONDITIONS = ASSERTION "Conditions";
    AUDIENCE_RESTRICTION = ASSERTION "AudienceRestriction";
    AUDIENCE = ASSERTION "Audience";
    ONE_TIME_USE = ASSERTION "OneTimeUse";
    PROXY_RESTRICTION = ASSERTION "ProxyRestriction";
    AUTHN_STATEMENT = ASSERTION "AuthnStatement";
    SUBJECT_LOCALITY = ASSERTION "SubjectLocality";
    AUTHN_CONTEXT = ASSERTION "AuthnContext";
    AUTHN_CONTEXT_CLASS_REF = ASSERTION "AuthnContextClassRef";
    AUTHN_CONTEXT_DECL_REF = ASSERTION "AuthnContextDeclRef";
    AUTHENTICATING_AUTHORITY = ASSERTION "AuthenticatingAuthority";
    ATTRIBUTE_STATEMENT = ASSERTION "AttributeStatement";
    ATTRIBUTE = ASSERTION "Attribute";
    ATTRIBUTE_VALUE = ASSERTION "AttributeValue";
    SIGNATURE = DSIG "Signature";
    SIGNED_INFO = DSIG "SignedInfo";
    SIGNATURE_VALUE = DSIG "SignatureValue";
    KEY_INFO = DSIG "KeyInfo";
    X509_DATA = DSIG "X509Data";
    X509_CERTIFICATE = DSIG "X509Certificate";
    CANONICALIZATION_METHOD = DSIG "CanonicalizationMethod";
    SIGNATURE_METHOD = DSIG "SignatureMethod";
    REFERENCE = DSIG "Reference";
    TRANSFORMS = DSIG "Transforms";
    TRANSFORM = DSIG "Transform";
    DIGEST_METHOD = DSIG "DigestMethod";
    DIGEST_VALUE = DSIG "DigestValue";
    RETRIEVAL_METHOD = DSIG "RetrievalMethod";
    INCLUSIVE_NAMESPACES = EXC_C14N "InclusiveNamespaces";
    ENCRYPTED_DATA = XENC "EncryptedData";
    ENCRYPTED_KEY = XENC "EncryptedKey";
    ENCRYPTION_METHOD = XENC "EncryptionMethod";
    KEY_SIZE = XENC "KeySize";
    OAEP_PARAMS = XENC "OAEPparams";
    CIPHER_DATA = XENC "CipherData";
    CIPHER_VALUE = XENC "CipherValue";
    REFERENCE_LIST = XENC "ReferenceList";
    DATA_REFERENCE = XENC "DataReference";
    CARRIED_KEY_NAME = XENC "CarriedKeyName";
    MGF = XENC11 "MGF";
    ENTITIES_DESCRIPTOR = METADATA "EntitiesDescriptor";
    ENTITY_DESCRIPTOR = METADATA "EntityDescriptor";
    IDP_SSO_DESCRIPTOR = METADATA "IDPSSODescriptor";
    KEY_DESCRIPTOR = METADATA "KeyDescriptor";
    SINGLE_SIGN_ON_SERVICE = METADATA "SingleSignOnService";
    SINGLE_LOGOUT_SERVICE = METADATA "SingleLogoutService";
    NAME_ID_FORMAT = METADATA "NameIDFormat";
}
