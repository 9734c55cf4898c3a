//! OIDC and OAuth messages, JOSE, token rules, for both sides. Pure.
