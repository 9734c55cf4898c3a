//! Things to store in tests.
