-- Subjects of a provider are told apart by letter case and names here are not, so what claims say of somebody has a name of its own.
UPDATE directory_users SET user_name = id, user_name_key = id
WHERE directory IN (SELECT id FROM directories WHERE kind = 'claims');

-- Claims tell of one person once, and by the provider that their connection has now. Standing: 2 for what that provider said, 1 for
-- a name that still leads to the member. Where claims are not read any more nobody can say groups and values anew, so whatever
-- said some stays before what said none.
CREATE TABLE claimed (
    id TEXT NOT NULL PRIMARY KEY,
    directory TEXT NOT NULL,
    membership TEXT NOT NULL,
    standing INT NOT NULL,
    is_read INT NOT NULL,
    frozen INT NOT NULL
);
INSERT INTO claimed (id, directory, membership, standing, is_read, frozen)
SELECT u.id, u.directory, u.membership,
CASE WHEN SUBSTR(u.external_id, 1, LENGTH(c.issuer) + 1) = c.issuer || ' ' THEN 2 ELSE 0 END
+ CASE WHEN EXISTS (SELECT 1 FROM links l WHERE l.connection = c.id AND l.subject = u.external_id AND l.membership = u.membership)
THEN 1 ELSE 0 END,
CASE WHEN c.directory IS NULL THEN 1 ELSE 0 END,
CASE WHEN c.directory IS NOT NULL AND (EXISTS (SELECT 1 FROM directory_members m WHERE m.directory_user = u.id)
OR EXISTS (SELECT 1 FROM directory_user_facets f WHERE f.directory_user = u.id)) THEN 1 ELSE 0 END
FROM directory_users u JOIN connections c ON c.claims_directory = u.directory;
CREATE INDEX claimed_of ON claimed (membership, directory);
CREATE TABLE over_now (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO over_now (id) SELECT c.id FROM claimed c JOIN directory_users u ON u.id = c.id
WHERE EXISTS (SELECT 1 FROM claimed o JOIN directory_users l ON l.id = o.id
WHERE o.membership = c.membership AND o.directory = c.directory
AND (o.standing, o.frozen, l.created_at, o.id) > (c.standing, c.frozen, u.created_at, c.id));
CREATE TABLE said_elsewhere (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO said_elsewhere (id) SELECT id FROM claimed
WHERE standing < 2 AND is_read = 1 AND id NOT IN (SELECT id FROM over_now);
-- What stays of several said nothing of groups, as most providers do of somebody in none; what is over did.
CREATE TABLE said_nothing (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO said_nothing (id) SELECT c.id FROM claimed c
WHERE c.is_read = 1 AND c.id NOT IN (SELECT id FROM over_now)
AND EXISTS (SELECT 1 FROM claimed o WHERE o.membership = c.membership AND o.directory = c.directory
AND o.id IN (SELECT id FROM over_now))
AND NOT EXISTS (SELECT 1 FROM directory_members m WHERE m.directory_user = c.id)
AND NOT EXISTS (SELECT 1 FROM directory_user_facets f WHERE f.directory_user = c.id);

-- Whose access may be another now is brought in step by the job, and by whoever meets them before it.
UPDATE memberships SET marked_from = CASE WHEN rules_number > 0 THEN rules_number ELSE marked_from END, rules_number = 0
WHERE ended_at IS NULL AND id IN (SELECT membership FROM directory_users
WHERE id IN (SELECT id FROM over_now) OR id IN (SELECT id FROM said_elsewhere));

-- What somebody was called is remembered for the day when they leave.
INSERT INTO former_identifiers (membership, kind, value)
SELECT membership, 'external_id', directory || '/' || external_id FROM directory_users
WHERE external_id IS NOT NULL AND id IN (SELECT id FROM over_now) ON CONFLICT (membership, kind, value) DO NOTHING;
INSERT INTO former_identifiers (membership, kind, value)
SELECT u.membership, 'email', e.email_key FROM directory_users u JOIN directory_user_emails e ON e.directory_user = u.id
WHERE u.id IN (SELECT id FROM over_now) ON CONFLICT (membership, kind, value) DO NOTHING;

DELETE FROM directory_members WHERE directory_user IN (SELECT id FROM over_now)
OR directory_user IN (SELECT id FROM said_elsewhere);
DELETE FROM directory_user_facets WHERE directory_user IN (SELECT id FROM over_now)
OR directory_user IN (SELECT id FROM said_elsewhere);
DELETE FROM directory_user_emails WHERE directory_user IN (SELECT id FROM over_now);
DELETE FROM directory_users WHERE id IN (SELECT id FROM over_now);

-- Whose life hung on what another provider or account said waits until they sign in; whoever has lost the last mapping goes on settling.
UPDATE directory_users SET unconfirmed_at = updated_at
WHERE unconfirmed_at IS NULL AND inactive_at IS NULL AND (id IN (SELECT id FROM said_elsewhere) OR id IN (SELECT id FROM said_nothing))
AND membership IN (SELECT m.id FROM memberships m
WHERE m.governed_by = directory_users.directory AND m.ended_at IS NULL AND m.unmapped_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM directories d JOIN roles r ON r.organization = d.organization AND r.slug = d.default_role
WHERE d.id = directory_users.directory AND r.explicit_only_at IS NULL);

DROP TABLE claimed;
DROP TABLE over_now;
DROP TABLE said_elsewhere;
DROP TABLE said_nothing;
