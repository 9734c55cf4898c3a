-- Notes: the ID token of a session, sealed, for leading its browser to the provider when somebody signs out here.
ALTER TABLE oidc_sessions ADD COLUMN hint_sealed TEXT;

-- Requests to end a session that a provider has not answered yet, whichever protocol it speaks.
ALTER TABLE saml_logouts RENAME TO farewells;
