//! What is true and allowed: types, decisions, invariants. Pure.
