//! What tests stand on: the whole product behind HTTP on a throw-away database, and an honest provider of SAML. Development
//! only.
//!
//! With the feature `bench`, `Bench::sqlite` (and `Bench::postgres`) gives a product whose clock is set by hand, whose
//! randomness is repeatable and whose way out answers what the test said. `Bench::call` speaks to it as a client would,
//! without a socket.
//!
//! With the feature `saml`, `saml` has what the vectors of the attack catalogue are made of. They are features apart, so
//! that the tests of a pure room do not wait for the product.
//!
//! A test may panic, and so may this: what goes wrong here is a fault of the test.
#![cfg_attr(
    feature = "bench",
    expect(clippy::expect_used, reason = "a test's harness fails the test that it is used by")
)]

#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "bench")]
mod document;
#[cfg(feature = "bench")]
mod outside;
#[cfg(feature = "bench")]
mod persona;
#[cfg(feature = "bench")]
mod place;
#[cfg(feature = "saml")]
pub mod saml;
#[cfg(feature = "bench")]
mod surroundings;

#[cfg(feature = "bench")]
pub use bench::{Bench, Exchange, PUBLIC_URL, ROOT_TOKEN};
#[cfg(feature = "bench")]
pub use outside::Outside;
#[cfg(feature = "bench")]
pub use persona::{Persona, issue_key};
#[cfg(feature = "bench")]
pub use place::Place;
#[cfg(feature = "bench")]
pub use surroundings::{START, Seeded, SetClock};
