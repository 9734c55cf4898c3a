-- What any provider signed is good once, whichever protocol it speaks.
ALTER TABLE saml_replays RENAME TO replays;

-- Notes: whom an OpenID provider means by a session of ours, for its word that the session is over.
CREATE TABLE oidc_sessions (
    token TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    subject_hash TEXT NOT NULL,
    session_hash TEXT NOT NULL,
    expires_at INT NOT NULL
);
CREATE INDEX oidc_sessions_subject ON oidc_sessions (connection, subject_hash);
CREATE INDEX oidc_sessions_session ON oidc_sessions (connection, session_hash);
CREATE INDEX oidc_sessions_expires ON oidc_sessions (expires_at);
