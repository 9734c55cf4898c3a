-- A directory of Google Workspace is asked by one of three rights, and each has columns of its own.

CREATE TABLE google_sources_by_right (
    directory TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    customer TEXT NOT NULL,
    domain TEXT,
    asked_by TEXT NOT NULL,
    delegated_admin TEXT,
    client_email TEXT,
    client_id TEXT,
    key_id TEXT,
    key_sealed TEXT,
    vouched_at INT,
    hosted_domain TEXT,
    client_secret_sealed TEXT,
    consented_by TEXT,
    consented_at INT,
    refresh_sealed TEXT,
    updated_at INT NOT NULL
);
INSERT INTO google_sources_by_right (directory, organization, customer, domain, asked_by, delegated_admin,
    client_email, client_id, key_id, key_sealed, updated_at)
SELECT directory, organization, customer, domain, 'service_account', delegated_admin,
    client_email, client_id, key_id, key_sealed, updated_at FROM google_sources;
DROP TABLE google_sources;
ALTER TABLE google_sources_by_right RENAME TO google_sources;

-- Consents under way: what a browser must bring back from Google. Each is good for one use.

CREATE TABLE consents (
    state_hash TEXT NOT NULL PRIMARY KEY,
    browser_hash TEXT NOT NULL,
    directory TEXT NOT NULL,
    membership TEXT NOT NULL,
    client_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier_sealed TEXT NOT NULL,
    created_at INT NOT NULL,
    expires_at INT NOT NULL
);
CREATE INDEX consents_expiry ON consents (expires_at);
