//! Personas, model store, database harness. Development only.
