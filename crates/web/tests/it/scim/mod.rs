//! SCIM over HTTP: what real identity providers send, and what it does to access.

mod belonging;
mod callers;
mod dialects;
mod provider;
mod resources;
mod traces;
