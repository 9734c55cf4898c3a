//! HTTP: routes, callers, wire types, errors; console and sign-in pages.
