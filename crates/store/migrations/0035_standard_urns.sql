-- What can mean one schema of the standard only is read as that, however its URN is spelled. Mappings, and values that people
-- have, keep the name that they were compared by: it becomes the one by which the same name is compared now.
CREATE TABLE spelled (
    before TEXT NOT NULL PRIMARY KEY,
    after TEXT NOT NULL
);
INSERT INTO spelled (before, after)
WITH roots (root) AS (VALUES ('urn:ietf:params:scim:schemas:'), ('urn:scim:schemas:')),
versions (version) AS (VALUES ('2.0'), ('1.0')),
kinds (kind) AS (VALUES (''), ('user'), (':user')),
ends (behind) AS (VALUES (':'), ('.')),
attributes (part, standard, name) AS (VALUES
('core:', '', 'title'), ('core:', '', 'userType'), ('core:', '', 'preferredLanguage'), ('core:', '', 'locale'),
('core:', '', 'timezone'), ('core:', '', 'roles'), ('core:', '', 'roles.type'), ('core:', '', 'entitlements'),
('core:', '', 'entitlements.type'), ('core:', '', 'addresses.locality'), ('core:', '', 'addresses.region'),
('core:', '', 'addresses.postalCode'), ('core:', '', 'addresses.country'), ('core:', '', 'addresses.type'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'employeeNumber'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'costCenter'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'organization'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'division'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'department'),
('extension:enterprise:', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:', 'manager'))
SELECT r.root || a.part || v.version || k.kind || e.behind || LOWER(a.name), a.standard || a.name
FROM roots r CROSS JOIN versions v CROSS JOIN kinds k CROSS JOIN ends e CROSS JOIN attributes a;

-- Names have no `=`, and a value is everything behind the first one.
CREATE TABLE renamed (
    before TEXT NOT NULL PRIMARY KEY,
    after TEXT NOT NULL
);
INSERT INTO renamed (before, after)
SELECT k.source_key, s.after || SUBSTR(k.source_key, LENGTH(s.before) + 1)
FROM (SELECT source_key FROM mappings WHERE source = 'attribute'
AND directory IN (SELECT id FROM directories WHERE kind = 'scim')
UNION SELECT source_key FROM directory_user_facets WHERE source = 'attribute'
AND directory IN (SELECT id FROM directories WHERE kind = 'scim')) k
JOIN spelled s ON s.before || '=' = SUBSTR(k.source_key, 1, LENGTH(s.before) + 1)
WHERE (SUBSTR(k.source_key, 1, 17) = 'urn:scim:schemas:' OR SUBSTR(k.source_key, 1, 29) = 'urn:ietf:params:scim:schemas:')
AND SUBSTR(k.source_key, 1, 59) <> 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:';

-- Whoever is in a directory of which something is named otherwise is brought in step by the job, or by whoever meets them before.
CREATE TABLE renamed_in (
    directory TEXT NOT NULL PRIMARY KEY
);
INSERT INTO renamed_in (directory)
SELECT directory FROM mappings WHERE source = 'attribute' AND source_key IN (SELECT before FROM renamed)
AND directory IN (SELECT id FROM directories WHERE kind = 'scim')
UNION SELECT directory FROM directory_user_facets WHERE source = 'attribute' AND source_key IN (SELECT before FROM renamed)
AND directory IN (SELECT id FROM directories WHERE kind = 'scim');
UPDATE memberships SET marked_from = CASE WHEN rules_number > 0 THEN rules_number ELSE marked_from END, rules_number = 0
WHERE ended_at IS NULL AND id IN (SELECT membership FROM directory_users WHERE directory IN (SELECT directory FROM renamed_in));

UPDATE mappings SET source_key = (SELECT r.after FROM renamed r WHERE r.before = mappings.source_key)
WHERE source = 'attribute' AND directory IN (SELECT directory FROM renamed_in)
AND source_key IN (SELECT before FROM renamed);
INSERT INTO directory_user_facets (directory_user, source, source_key, directory, request_id)
SELECT f.directory_user, f.source, r.after, f.directory, f.request_id
FROM directory_user_facets f JOIN renamed r ON r.before = f.source_key
WHERE f.source = 'attribute' AND f.directory IN (SELECT directory FROM renamed_in)
ON CONFLICT (directory_user, source, source_key) DO NOTHING;
DELETE FROM directory_user_facets WHERE source = 'attribute' AND directory IN (SELECT directory FROM renamed_in)
AND source_key IN (SELECT before FROM renamed);

DROP TABLE spelled;
DROP TABLE renamed;
DROP TABLE renamed_in;
