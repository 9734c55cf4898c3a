//! The tests of the SCIM room, one binary: bodies in, meaning out.

mod dialects;
mod wire;
