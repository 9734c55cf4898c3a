-- One text for both databases. INT is BIGINT or INTEGER; TEXT is ordered by bytes; every table is STRICT on SQLite.
-- Times are microseconds since the Unix epoch. There are no booleans: a nullable …_at says since when.

CREATE TABLE instance (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE revision (
    id INT NOT NULL PRIMARY KEY,
    number INT NOT NULL
);
INSERT INTO revision (id, number) VALUES (1, 0);

CREATE TABLE node_lease (
    id INT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INT NOT NULL,
    expires_at INT NOT NULL
);

CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    rules_number INT NOT NULL,
    rules_event TEXT,
    created_at INT NOT NULL,
    deleted_at INT
);

CREATE TABLE environments (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (organization, slug)
);

CREATE TABLE teams (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (organization, slug)
);

CREATE TABLE roles (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    slug TEXT NOT NULL,
    rank INT NOT NULL,
    permissions TEXT NOT NULL,
    explicit_only_at INT,
    built_in_at INT,
    created_at INT NOT NULL,
    UNIQUE (organization, slug),
    UNIQUE (organization, rank)
);

CREATE TABLE domains (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    domain TEXT NOT NULL,
    txt_value TEXT NOT NULL,
    proven_at INT,
    created_at INT NOT NULL,
    UNIQUE (organization, domain)
);
-- A proven domain belongs to one organization at a time.
CREATE UNIQUE INDEX domains_proven ON domains (domain) WHERE proven_at IS NOT NULL;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INT NOT NULL,
    ended_at INT
);

CREATE TABLE authenticators (
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (user_id, kind)
);

CREATE TABLE memberships (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    user_id TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    name TEXT NOT NULL,
    joined_at INT,
    governed_by TEXT,
    suspended_at INT,
    unmapped_at INT,
    ended_at INT,
    ended_because TEXT,
    bare_owner_at INT,
    state TEXT NOT NULL,
    role TEXT,
    teams TEXT NOT NULL,
    environments TEXT NOT NULL,
    reasons TEXT NOT NULL,
    until INT,
    rules_number INT NOT NULL,
    created_at INT NOT NULL
);
CREATE INDEX memberships_email ON memberships (organization, email_key, id);
CREATE INDEX memberships_user ON memberships (user_id);
CREATE INDEX memberships_role ON memberships (organization, role);
CREATE INDEX memberships_rules ON memberships (organization, rules_number, id);
CREATE INDEX memberships_listed ON memberships (organization, id);
CREATE INDEX memberships_governor ON memberships (governed_by) WHERE governed_by IS NOT NULL;
CREATE INDEX memberships_until ON memberships (until) WHERE until IS NOT NULL;

CREATE TABLE directories (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    default_role TEXT,
    settle_s INT NOT NULL,
    nested_at INT,
    connection TEXT,
    created_at INT NOT NULL
);
CREATE INDEX directories_organization ON directories (organization, id);

CREATE TABLE google_sources (
    directory TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    customer TEXT NOT NULL,
    domain TEXT,
    delegated_admin TEXT NOT NULL,
    client_email TEXT NOT NULL,
    client_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_sealed TEXT NOT NULL,
    updated_at INT NOT NULL
);

CREATE TABLE directory_users (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    membership TEXT NOT NULL,
    external_id TEXT,
    user_name TEXT NOT NULL,
    user_name_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_name_key TEXT NOT NULL,
    inactive_at INT,
    unconfirmed_at INT,
    attributes TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE UNIQUE INDEX directory_users_user_name ON directory_users (directory, user_name_key);
CREATE INDEX directory_users_external_id ON directory_users (directory, external_id, id);
CREATE INDEX directory_users_display_name ON directory_users (directory, display_name_key, id);
CREATE INDEX directory_users_listed ON directory_users (directory, id);
CREATE INDEX directory_users_membership ON directory_users (membership);

CREATE TABLE directory_user_emails (
    directory_user TEXT NOT NULL,
    email_key TEXT NOT NULL,
    directory TEXT NOT NULL,
    position INT NOT NULL,
    PRIMARY KEY (directory_user, email_key)
);
CREATE INDEX directory_user_emails_email ON directory_user_emails (directory, email_key);

-- What of a person a mapping can name beside their groups: values of attributes, organizational units.
CREATE TABLE directory_user_facets (
    directory_user TEXT NOT NULL,
    source TEXT NOT NULL,
    source_key TEXT NOT NULL,
    directory TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (directory_user, source, source_key)
);
CREATE INDEX directory_user_facets_source ON directory_user_facets (directory, source, source_key, directory_user);

CREATE TABLE directory_groups (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    external_id TEXT,
    display_name TEXT NOT NULL,
    display_name_key TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX directory_groups_external_id ON directory_groups (directory, external_id, id);
CREATE INDEX directory_groups_display_name ON directory_groups (directory, display_name_key, id);
CREATE INDEX directory_groups_listed ON directory_groups (directory, id);

CREATE TABLE directory_members (
    directory_group TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (directory_group, directory_user)
);
CREATE INDEX directory_members_user ON directory_members (directory_user, directory_group);

-- Groups that are members of groups; they count where the directory says so.
CREATE TABLE directory_subgroups (
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    directory TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (parent, child)
);
CREATE INDEX directory_subgroups_child ON directory_subgroups (child, parent);

CREATE TABLE mappings (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    source TEXT NOT NULL,
    source_key TEXT NOT NULL,
    written TEXT NOT NULL,
    attribute TEXT,
    role TEXT,
    team TEXT,
    team_role TEXT,
    environment TEXT,
    created_at INT NOT NULL
);
CREATE INDEX mappings_source ON mappings (directory, source, source_key);
CREATE INDEX mappings_listed ON mappings (organization, id);
CREATE INDEX mappings_directory ON mappings (directory, organization, id);

CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    role TEXT NOT NULL,
    granted_by TEXT,
    reason TEXT NOT NULL,
    request_id TEXT,
    created_at INT NOT NULL,
    ended_at INT
);
CREATE INDEX grants_membership ON grants (membership, organization, id);
CREATE INDEX grants_role ON grants (organization, role);
CREATE INDEX grants_listed ON grants (organization, id);

CREATE TABLE connections (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret_sealed TEXT NOT NULL,
    directory TEXT,
    claims_directory TEXT NOT NULL,
    jit_at INT,
    groups_claim TEXT,
    environment TEXT NOT NULL,
    unconfirmed_at INT,
    created_at INT NOT NULL
);
CREATE INDEX connections_organization ON connections (organization, id);

CREATE TABLE connection_domains (
    connection TEXT NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (connection, domain)
);

CREATE TABLE links (
    connection TEXT NOT NULL,
    subject TEXT NOT NULL,
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (connection, subject)
);
CREATE INDEX links_membership ON links (membership);

CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    heir TEXT,
    on_owner_loss TEXT NOT NULL,
    rule_chosen_by TEXT,
    environment TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INT NOT NULL
);
CREATE INDEX agents_organization ON agents (organization, id);
CREATE INDEX agents_owner ON agents (owner, organization, id);

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    holder_kind TEXT NOT NULL,
    holder TEXT NOT NULL,
    membership TEXT,
    agent TEXT,
    parent TEXT,
    shown_to_kind TEXT NOT NULL,
    shown_to TEXT,
    secret_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    environment TEXT,
    scopes TEXT NOT NULL,
    connection TEXT,
    address_key TEXT,
    issued_at INT NOT NULL,
    expires_at INT,
    max_idle_s INT,
    ended_at INT,
    ended_because TEXT,
    ended_by_event TEXT
);
CREATE INDEX tokens_organization ON tokens (organization, id);
CREATE INDEX tokens_holder ON tokens (holder, id);
CREATE INDEX tokens_membership ON tokens (membership);
CREATE INDEX tokens_shown_to ON tokens (shown_to) WHERE shown_to IS NOT NULL;
CREATE INDEX tokens_address ON tokens (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX tokens_agent ON tokens (agent) WHERE agent IS NOT NULL;
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL;
CREATE INDEX tokens_connection ON tokens (connection) WHERE connection IS NOT NULL;

CREATE TABLE tombstones (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    membership TEXT NOT NULL,
    created_at INT NOT NULL,
    lifted_at INT,
    PRIMARY KEY (organization, kind, value, membership)
);
CREATE INDEX tombstones_membership ON tombstones (membership);

-- What a membership was called before: a tombstone keeps every identifier that the leaver ever had.
CREATE TABLE former_identifiers (
    membership TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (membership, kind, value)
);

CREATE TABLE receipts (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    because TEXT NOT NULL,
    kept TEXT NOT NULL,
    cause TEXT NOT NULL,
    event TEXT NOT NULL,
    jws TEXT,
    created_at INT NOT NULL
);
CREATE INDEX receipts_organization ON receipts (organization, id);
CREATE INDEX receipts_membership ON receipts (membership);
CREATE INDEX receipts_unsigned ON receipts (id) WHERE jws IS NULL;

CREATE TABLE receipt_lines (
    receipt TEXT NOT NULL,
    kind TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (receipt, kind, item)
);

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INT NOT NULL,
    delivered_at INT
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;

CREATE TABLE audit_events (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    target TEXT NOT NULL,
    second_target TEXT NOT NULL,
    content TEXT NOT NULL,
    salt TEXT NOT NULL,
    created_at INT NOT NULL,
    number INT,
    commitment TEXT,
    link TEXT
);
CREATE INDEX audit_events_listed ON audit_events (organization, id);
CREATE INDEX audit_events_target ON audit_events (target, id);
CREATE INDEX audit_events_second_target ON audit_events (second_target, id);
CREATE UNIQUE INDEX audit_events_number ON audit_events (organization, number) WHERE number IS NOT NULL;
CREATE INDEX audit_events_waiting ON audit_events (id) WHERE number IS NULL;

CREATE TABLE audit_heads (
    organization TEXT NOT NULL PRIMARY KEY,
    number INT NOT NULL,
    link TEXT NOT NULL,
    jws TEXT NOT NULL,
    at INT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    public_key TEXT NOT NULL,
    private_sealed TEXT NOT NULL,
    created_at INT NOT NULL,
    retired_at INT
);
CREATE INDEX signing_keys_organization ON signing_keys (organization, created_at);

-- Notes: nothing below gives or takes access.

CREATE TABLE token_uses (
    token TEXT NOT NULL PRIMARY KEY,
    last_used_at INT NOT NULL
);

CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    path TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (caller, path, idempotency_key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE sign_ins (
    id TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    state_hash TEXT NOT NULL UNIQUE,
    browser_hash TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier_sealed TEXT NOT NULL,
    return_to TEXT NOT NULL,
    linking TEXT,
    created_at INT NOT NULL,
    expires_at INT NOT NULL
);
CREATE INDEX sign_ins_expires ON sign_ins (expires_at);

CREATE TABLE traces (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subject TEXT NOT NULL,
    request_id TEXT,
    content TEXT NOT NULL,
    created_at INT NOT NULL
);
CREATE INDEX traces_listed ON traces (organization, id);
CREATE INDEX traces_created ON traces (created_at);

CREATE TABLE google_polls (
    directory TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    run TEXT,
    leased_until INT NOT NULL,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    progress TEXT NOT NULL,
    started_at INT,
    finished_at INT,
    due_at INT NOT NULL,
    full_at INT NOT NULL,
    fast_at INT NOT NULL,
    full_succeeded_at INT,
    fast_succeeded_at INT,
    failures INT NOT NULL,
    error_kind TEXT,
    error_code TEXT,
    error_message TEXT,
    customer_id TEXT,
    org_units TEXT NOT NULL
);
CREATE INDEX google_polls_due ON google_polls (due_at);

CREATE TABLE directory_dialects (
    directory TEXT NOT NULL,
    code TEXT NOT NULL,
    calls INT NOT NULL,
    subject TEXT,
    first_at INT NOT NULL,
    last_at INT NOT NULL,
    PRIMARY KEY (directory, code)
);
