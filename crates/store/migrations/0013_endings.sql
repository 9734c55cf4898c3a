-- Notes: what a provider said is over, for as long as a sign-in that began before may still come in. An empty hash stands
-- for everybody, or for every session.
CREATE TABLE endings (
    connection TEXT NOT NULL,
    subject_hash TEXT NOT NULL,
    session_hash TEXT NOT NULL,
    ended_at INT NOT NULL,
    expires_at INT NOT NULL,
    PRIMARY KEY (connection, subject_hash, session_hash)
);
CREATE INDEX endings_expires ON endings (expires_at);
