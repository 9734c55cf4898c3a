-- By which certificate of the provider a session came in: it ends with that certificate. Of sessions that were there before
-- nobody knows, so they end with any.
ALTER TABLE saml_sessions ADD COLUMN signed_by TEXT NOT NULL DEFAULT '';
CREATE INDEX saml_sessions_signed ON saml_sessions (connection, signed_by);
