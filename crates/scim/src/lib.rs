//! SCIM 2.0: schemas, filter, PATCH, list responses, IdP dialects. Pure.
