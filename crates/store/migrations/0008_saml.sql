-- Connections of SAML. Their row in `connections` has the provider's entity id as issuer and ours as client id.

CREATE TABLE saml_sources (
    connection TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    metadata_url TEXT,
    provider TEXT NOT NULL,
    settings TEXT NOT NULL,
    updated_at INT NOT NULL
);

-- Certificates of providers. One that is retired stays, so that no metadata brings it back.
CREATE TABLE saml_certificates (
    connection TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    organization TEXT NOT NULL,
    der TEXT NOT NULL,
    state TEXT NOT NULL,
    not_before INT NOT NULL,
    not_after INT NOT NULL,
    seen_at INT NOT NULL,
    decided_at INT NOT NULL,
    PRIMARY KEY (connection, fingerprint)
);

-- Our own keys.
CREATE TABLE saml_keys (
    connection TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    organization TEXT NOT NULL,
    certificate TEXT NOT NULL,
    private_sealed TEXT NOT NULL,
    state TEXT NOT NULL,
    not_after INT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (connection, fingerprint)
);

-- Notes: nothing below gives or takes access.

CREATE TABLE saml_refreshes (
    connection TEXT NOT NULL PRIMARY KEY,
    due_at INT NOT NULL,
    asked_at INT,
    succeeded_at INT,
    failures INT NOT NULL,
    error_code TEXT,
    error_message TEXT
);
CREATE INDEX saml_refreshes_due ON saml_refreshes (due_at);

-- What a provider signed is good once: hashes of the ids of responses and assertions.
CREATE TABLE saml_replays (
    connection TEXT NOT NULL,
    message_hash TEXT NOT NULL,
    expires_at INT NOT NULL,
    PRIMARY KEY (connection, message_hash)
);
CREATE INDEX saml_replays_expires ON saml_replays (expires_at);

-- What the provider calls whom a session belongs to, and the session: for the end of sessions on both sides.
CREATE TABLE saml_sessions (
    token TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    name_hash TEXT NOT NULL,
    name_id TEXT NOT NULL,
    session_index TEXT,
    expires_at INT NOT NULL
);
CREATE INDEX saml_sessions_name ON saml_sessions (connection, name_hash);
CREATE INDEX saml_sessions_expires ON saml_sessions (expires_at);

-- Requests to end a session that a provider has not answered yet.
CREATE TABLE saml_logouts (
    connection TEXT NOT NULL,
    state_hash TEXT NOT NULL,
    request TEXT NOT NULL,
    expires_at INT NOT NULL,
    PRIMARY KEY (connection, state_hash)
);
CREATE INDEX saml_logouts_expires ON saml_logouts (expires_at);

-- Whom a provider has proven, for the moment until their browser comes with all of its cookies.
CREATE TABLE arrivals (
    ticket_hash TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    browser_hash TEXT NOT NULL,
    content TEXT NOT NULL,
    return_to TEXT NOT NULL,
    linking TEXT,
    expires_at INT NOT NULL
);
CREATE INDEX arrivals_expires ON arrivals (expires_at);
