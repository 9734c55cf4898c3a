//! The identity provider's side: OIDC provider and SCIM client, for demo, emulate, drill and tests.
