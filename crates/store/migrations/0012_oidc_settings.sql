-- What is set of connections of OpenID. A connection without a row is as usual.
CREATE TABLE oidc_sources (
    connection TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    settings TEXT NOT NULL,
    updated_at INT NOT NULL
);

-- Our own keys at providers of OpenID, in place of a secret.
CREATE TABLE client_keys (
    connection TEXT NOT NULL,
    kid TEXT NOT NULL,
    organization TEXT NOT NULL,
    alg TEXT NOT NULL,
    public TEXT NOT NULL,
    private_sealed TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (connection, kid)
);
