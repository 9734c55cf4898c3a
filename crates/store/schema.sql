-- The schema as the newest migration leaves it: what a new database is made from. A migration that changes a table changes
-- it here too; `a_new_database_is_what_the_migrations_lead_to` holds both to each other.
--
-- One text for both databases. INT is BIGINT or INTEGER; TEXT is ordered by bytes; every table is STRICT on SQLite.
-- Times are microseconds since the Unix epoch. There are no booleans: a nullable …_at says since when.

-- === This database ===

-- What there is once in a database: its timeline, the fingerprint of its sealing key, the root token's hash.
CREATE TABLE instance (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- How far this database has come: counted up by every commit.
CREATE TABLE revision (
    id INT NOT NULL PRIMARY KEY,
    number INT NOT NULL
);
INSERT INTO revision (id, number) VALUES (1, 0);

-- Which node serves it. On SQLite a lock beside the file says so.
CREATE TABLE node_lease (
    id INT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INT NOT NULL,
    expires_at INT NOT NULL
);

-- === Organizations and their people ===

-- A customer: everything else belongs to one.
CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    rules_number INT NOT NULL,
    created_at INT NOT NULL,
    deleted_at INT
);

-- A part of an organization with sign-in rules of its own.
CREATE TABLE environments (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (organization, slug)
);

-- Teams; who is in them stands in team_members.
CREATE TABLE teams (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (organization, slug)
);

-- Roles, built in or an organization's own. The higher rank wins.
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

-- Domains of an organization, and whether it has proven them.
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

-- People, over all organizations.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INT NOT NULL,
    ended_at INT
);

-- How people of this installation prove who they are. Each organization's person of an address has a password of their own.
CREATE TABLE authenticators (
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    email_key TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (user_id, kind)
);
CREATE INDEX authenticators_email ON authenticators (email_key, created_at, user_id);

-- A user in an organization, with the access that was resolved last and the number of the rules that it follows from.
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
    created_at INT NOT NULL,
    -- The rank of whoever ordered a suspension: a lead lifts none that was ordered from above.
    suspended_rank INT,
    -- The event with which somebody was left without a mapping: when that has settled, their end follows from it.
    unmapped_event TEXT,
    -- By which calls about many somebody was marked, and under which number their access was stored before.
    marked_from INT,
    marked_by TEXT,
    -- How far it is believed that whoever opened the link of a membership is the person: the rank of the lowest who had seen
    -- the link, then. Who chose their password by it signs in as no more. 1000 is everybody.
    believed_up_to INT NOT NULL DEFAULT 1000
);
CREATE INDEX memberships_email ON memberships (organization, email_key, id);
CREATE INDEX memberships_user ON memberships (user_id);
CREATE INDEX memberships_role ON memberships (organization, role);
CREATE INDEX memberships_rules ON memberships (organization, rules_number, id);
CREATE INDEX memberships_listed ON memberships (organization, id);
CREATE INDEX memberships_governor ON memberships (governed_by) WHERE governed_by IS NOT NULL;
CREATE INDEX memberships_until ON memberships (until) WHERE until IS NOT NULL;

-- Who is in which team, beside the access that says so: a lead is shown the people of their teams and nobody else's,
-- in pages, whatever the size of the organization.
CREATE TABLE team_members (
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    team TEXT NOT NULL,
    team_role TEXT NOT NULL,
    PRIMARY KEY (organization, membership, team)
);
CREATE INDEX team_members_team ON team_members (organization, team, membership);

-- Roles that a person gave. One that ended stays.
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

-- Changes of rules that are carried out later: access that was stored under an older number follows from those after it.
CREATE TABLE rules_changes (
    organization TEXT NOT NULL,
    number INT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (organization, number)
);

-- === Directories ===

-- Where people and groups come from: SCIM, Google, or the claims of a connection.
CREATE TABLE directories (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    default_role TEXT,
    settle_s INT NOT NULL,
    nested_at INT,
    connection TEXT,
    created_at INT NOT NULL,
    brake_people INT,
    brake_percent INT,
    brake_above TEXT
);
CREATE INDEX directories_organization ON directories (organization, id);

-- What a directory says of a person.
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
    updated_at INT NOT NULL,
    -- How far it is believed what a directory calls somebody: the rank of the lowest who could have said it. 1000 is everybody.
    believed_up_to INT NOT NULL DEFAULT 1000
);
CREATE UNIQUE INDEX directory_users_user_name ON directory_users (directory, user_name_key);
CREATE INDEX directory_users_external_id ON directory_users (directory, external_id, id);
CREATE INDEX directory_users_display_name ON directory_users (directory, display_name_key, id);
CREATE INDEX directory_users_listed ON directory_users (directory, id);
CREATE INDEX directory_users_membership ON directory_users (membership);

-- Their addresses, for look-ups.
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

-- Groups, as a directory tells of them.
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

-- Who is in which group, and by which request.
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

-- What a group or a value gives: a role, a team, an environment.
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

-- People of a directory of whom an administrator says who they are.
CREATE TABLE reviews (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    reason TEXT NOT NULL,
    candidates TEXT NOT NULL,
    created_at INT NOT NULL,
    closed_at INT,
    attached_to TEXT
);
CREATE INDEX reviews_listed ON reviews (organization, id);
CREATE INDEX reviews_directory ON reviews (directory);

-- Notes: in what a directory departs from the standard, counted.
CREATE TABLE directory_dialects (
    directory TEXT NOT NULL,
    code TEXT NOT NULL,
    calls INT NOT NULL,
    subject TEXT,
    first_at INT NOT NULL,
    last_at INT NOT NULL,
    PRIMARY KEY (directory, code)
);

-- Which call of a directory was refused last, whatever becomes of its trace.
CREATE TABLE directory_refusals (
    directory TEXT NOT NULL PRIMARY KEY,
    refused_at INT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    request_id TEXT NOT NULL
);

-- === Google Workspace ===

-- By which right a Google directory is asked; each has columns of its own.
CREATE TABLE google_sources (
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
    updated_at INT NOT NULL,
    -- How far it is believed what Google says: as far as everybody stood who chose by which right it is asked.
    believed_up_to INT NOT NULL DEFAULT 1000
);

-- Notes: consents under way: what a browser must bring back from Google. Each is good for one use.
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

-- How far the poll of a Google directory is, and when the next is due.
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

-- === The brake ===

-- Whom a directory took something from within the window, once each.
CREATE TABLE brake_counted (
    directory TEXT NOT NULL,
    membership TEXT NOT NULL,
    counted_at INT NOT NULL,
    PRIMARY KEY (directory, membership)
);

-- How many they were, by the hour, and how many people it governed when the hour began.
CREATE TABLE brake_hours (
    directory TEXT NOT NULL,
    hour INT NOT NULL,
    people INT NOT NULL,
    governed INT NOT NULL,
    PRIMARY KEY (directory, hour)
);

-- Whom an administrator's change of rules left without a mapping: when that has settled, their end is not a directory's.
CREATE TABLE brake_spared (
    membership TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    unmapped_at INT NOT NULL
);

-- What a directory said above its brake, for an administrator to decide.
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    kind TEXT NOT NULL,
    directory_group TEXT,
    group_name TEXT,
    cause_kind TEXT NOT NULL,
    request_id TEXT,
    event TEXT,
    opened_at INT NOT NULL
);
CREATE INDEX holds_listed ON holds (organization, id);
CREATE INDEX holds_directory ON holds (directory, kind, id);

-- People of holds: a row is a fact that access is resolved by.
CREATE TABLE held_people (
    hold TEXT NOT NULL,
    membership TEXT NOT NULL,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    because TEXT,
    directory_user TEXT,
    cause_kind TEXT,
    request_id TEXT,
    event TEXT,
    held_at INT NOT NULL,
    refused_at INT,
    PRIMARY KEY (hold, membership)
);
CREATE INDEX held_people_membership ON held_people (membership, kind);
CREATE INDEX held_people_user ON held_people (directory_user) WHERE directory_user IS NOT NULL;

-- By which group somebody had what a hold lets them keep: one that they were in themselves, be it the group that lost them or
-- one below it.
CREATE TABLE held_matches (
    hold TEXT NOT NULL,
    membership TEXT NOT NULL,
    mapping TEXT NOT NULL,
    directory_group TEXT NOT NULL,
    through TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (hold, membership, mapping, through)
);
CREATE INDEX held_matches_membership ON held_matches (membership);
CREATE INDEX held_matches_mapping ON held_matches (mapping, membership);
CREATE INDEX held_matches_user ON held_matches (directory_user, directory_group);

-- === Signing in ===

-- Ways to sign in: SAML or OpenID Connect.
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
    created_at INT NOT NULL,
    -- How it reads what its provider says of people, as JSON; what is not said is as usual.
    claim_rules TEXT NOT NULL DEFAULT '{}',
    -- Until when it had another issuer, told by its newest link or session of then: what is not newer says nothing
    -- of who gets in by it now.
    moved_at INT,
    -- Where it waits for an owner: how high the lowest stood who chose its provider since one confirmed it, and when that
    -- was last chosen.
    chosen_from INT,
    chosen_at INT
);
CREATE INDEX connections_organization ON connections (organization, id);

-- Which domains find a connection.
CREATE TABLE connection_domains (
    connection TEXT NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (connection, domain)
);

-- Which account at a provider is which membership.
CREATE TABLE links (
    connection TEXT NOT NULL,
    subject TEXT NOT NULL,
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    created_at INT NOT NULL,
    -- How far the word is believed by which a link was made.
    believed_up_to INT NOT NULL DEFAULT 1000,
    -- By which certificate of a provider the word came that a link was made by: whoever has its key may have made it. Empty
    -- where nobody knows.
    signed_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (connection, subject)
);
CREATE INDEX links_membership ON links (membership);
CREATE INDEX links_subject ON links (subject, organization);
CREATE INDEX links_signed ON links (signed_by, organization, connection, subject);

-- Notes: sign-ins under way at a provider of OpenID.
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
    expires_at INT NOT NULL,
    -- Where it was sent to: its code goes to nobody else.
    provider_hash TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sign_ins_expires ON sign_ins (expires_at);

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

-- What a provider signed is good once: hashes of the ids of responses and assertions.
CREATE TABLE replays (
    connection TEXT NOT NULL,
    message_hash TEXT NOT NULL,
    expires_at INT NOT NULL,
    PRIMARY KEY (connection, message_hash)
);
CREATE INDEX saml_replays_expires ON replays (expires_at);

-- Requests to end a session that a provider has not answered yet.
CREATE TABLE farewells (
    connection TEXT NOT NULL,
    state_hash TEXT NOT NULL,
    request TEXT NOT NULL,
    expires_at INT NOT NULL,
    PRIMARY KEY (connection, state_hash)
);
CREATE INDEX saml_logouts_expires ON farewells (expires_at);

-- === SAML ===

-- What is set of connections of SAML.
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

-- When metadata is fetched next, and how it went.
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

-- What the provider calls whom a session belongs to, and the session: for the end of sessions on both sides.
CREATE TABLE saml_sessions (
    token TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    name_hash TEXT NOT NULL,
    name_id TEXT NOT NULL,
    session_index TEXT,
    expires_at INT NOT NULL,
    -- By which certificate of the provider a session came in: it ends with that certificate. One of which nobody knows ends
    -- with any.
    signed_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX saml_sessions_name ON saml_sessions (connection, name_hash);
CREATE INDEX saml_sessions_expires ON saml_sessions (expires_at);
CREATE INDEX saml_sessions_signed ON saml_sessions (connection, signed_by);

-- === OpenID Connect ===

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
    -- For providers that are handed certificates.
    certificate TEXT,
    not_after INT,
    PRIMARY KEY (connection, kid)
);

-- Notes: whom an OpenID provider means by a session of ours, for its word that the session is over.
CREATE TABLE oidc_sessions (
    token TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    subject_hash TEXT NOT NULL,
    session_hash TEXT NOT NULL,
    expires_at INT NOT NULL,
    -- The ID token, sealed, for leading the browser to the provider when somebody signs out here.
    hint_sealed TEXT
);
CREATE INDEX oidc_sessions_subject ON oidc_sessions (connection, subject_hash);
CREATE INDEX oidc_sessions_session ON oidc_sessions (connection, session_hash);
CREATE INDEX oidc_sessions_expires ON oidc_sessions (expires_at);

-- === What acts ===

-- Everything that can be presented: sessions, keys, tokens of directories. One that ended stays.
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
    ended_by_event TEXT,
    -- By which of their links a session came in, and how far the way in was believed when a token was issued. 1000 is without
    -- limit.
    subject TEXT,
    believed_up_to INT NOT NULL DEFAULT 1000,
    -- Since when it is worth nothing outside of its environment, whatever becomes of its holder's: from the beginning, or never.
    confined_at INT
);
CREATE INDEX tokens_organization ON tokens (organization, id);
CREATE INDEX tokens_holder ON tokens (holder, id);
CREATE INDEX tokens_membership ON tokens (membership);
CREATE INDEX tokens_shown_to ON tokens (shown_to) WHERE shown_to IS NOT NULL;
CREATE INDEX tokens_address ON tokens (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX tokens_agent ON tokens (agent) WHERE agent IS NOT NULL;
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL;
CREATE INDEX tokens_connection ON tokens (connection, expires_at) WHERE connection IS NOT NULL;
-- What lives of a holder or an owner is counted before there is more of it, however much has ended.
CREATE INDEX tokens_living ON tokens (holder, kind, expires_at, id) WHERE ended_at IS NULL;

-- Notes: when a token was used last, to the minute.
CREATE TABLE token_uses (
    token TEXT NOT NULL PRIMARY KEY,
    last_used_at INT NOT NULL
);

-- Agents, their owners and what becomes of them without one.
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
    created_at INT NOT NULL,
    -- How high stands who ordered an agent to stop: nobody below lets it go on, whose ever it is.
    paused_rank INT
);
CREATE INDEX agents_organization ON agents (organization, id);
CREATE INDEX agents_owner ON agents (owner, organization, id);
CREATE INDEX agents_living ON agents (owner, organization) WHERE state <> 'disabled';
CREATE INDEX agents_heir ON agents (heir) WHERE heir IS NOT NULL;
CREATE INDEX agents_rule_chosen_by ON agents (rule_chosen_by) WHERE rule_chosen_by IS NOT NULL;

-- === Off-boarding ===

-- What leavers were called: nobody comes in by it.
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
CREATE INDEX former_identifiers_subject ON former_identifiers (value) WHERE kind = 'issuer_subject';

-- Off-boardings, with the signature once the sequencer has come by.
CREATE TABLE receipts (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    membership TEXT NOT NULL,
    because TEXT NOT NULL,
    kept TEXT NOT NULL,
    cause TEXT NOT NULL,
    event TEXT NOT NULL,
    jws TEXT,
    created_at INT NOT NULL,
    -- Its place in the order in which they were signed.
    number INT
);
CREATE INDEX receipts_organization ON receipts (organization, id);
CREATE INDEX receipts_membership ON receipts (membership);
CREATE INDEX receipts_unsigned ON receipts (id) WHERE jws IS NULL;
CREATE UNIQUE INDEX receipts_number ON receipts (organization, number) WHERE number IS NOT NULL;

-- What ended with one.
CREATE TABLE receipt_lines (
    receipt TEXT NOT NULL,
    kind TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (receipt, kind, item)
);

-- What must be told to others.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INT NOT NULL,
    delivered_at INT
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;

-- === The log ===

-- The log. Number, commitment and link come from the sequencer, after the commit.
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

-- Its signed head, by organization.
CREATE TABLE audit_heads (
    organization TEXT NOT NULL PRIMARY KEY,
    number INT NOT NULL,
    link TEXT NOT NULL,
    jws TEXT NOT NULL,
    at INT NOT NULL
);

-- Keys that sign receipts and heads.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    public_key TEXT NOT NULL,
    private_sealed TEXT NOT NULL,
    created_at INT NOT NULL,
    retired_at INT
);
CREATE INDEX signing_keys_organization ON signing_keys (organization, created_at);

-- Notes: answers of requests that may come again.
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

-- Notes: what came in by sign-ins and directories, with masked bodies.
CREATE TABLE traces (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subject TEXT NOT NULL,
    request_id TEXT,
    content TEXT NOT NULL,
    created_at INT NOT NULL,
    source TEXT
);
CREATE INDEX traces_listed ON traces (organization, id);
CREATE INDEX traces_created ON traces (created_at);
-- Calls of directories that succeeded are forgotten before those that were refused.
CREATE INDEX traces_succeeded ON traces (organization, id) WHERE kind = 'directory' AND outcome = 'ok';
