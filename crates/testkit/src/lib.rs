//! Benches for tests: the whole product behind HTTP on a throw-away database. Development only.
//!
//! [`Bench::sqlite`] (and [`Bench::postgres`]) gives a product whose clock is set by hand, whose randomness is repeatable and whose way out
//! answers what the test said. [`Bench::call`] speaks to it as a client would, without a socket.
//!
//! A test may panic, and so may this: what goes wrong here is a fault of the test.
#![expect(clippy::expect_used, reason = "a test's harness fails the test that it is used by")]

mod bench;
mod outside;
mod persona;
mod place;
mod surroundings;

pub use bench::{Bench, Exchange, PUBLIC_URL, ROOT_TOKEN};
pub use outside::Outside;
pub use persona::Persona;
pub use place::Place;
pub use surroundings::{START, Seeded, SetClock};
