-- A leaver's subject counts at every connection to the same provider, and so does one of somebody who is still here: until
-- now it was laid, and looked for, at one connection only. The id of a connection and the stroke behind it are 37 letters.

INSERT INTO tombstones (organization, kind, value, membership, created_at, lifted_at)
SELECT organization, 'issuer_subject', SUBSTR(value, 38), membership, MIN(created_at),
-- One that lies at any connection lies.
CASE WHEN COUNT(*) = COUNT(lifted_at) THEN MAX(lifted_at) END FROM tombstones
WHERE kind = 'subject' GROUP BY organization, SUBSTR(value, 38), membership
ON CONFLICT (organization, kind, value, membership) DO NOTHING;
INSERT INTO former_identifiers (membership, kind, value)
SELECT membership, 'issuer_subject', SUBSTR(value, 38) FROM former_identifiers
WHERE kind = 'subject' ON CONFLICT (membership, kind, value) DO NOTHING;
CREATE INDEX links_subject ON links (subject, organization);
CREATE INDEX former_identifiers_subject ON former_identifiers (value) WHERE kind = 'issuer_subject';

-- Where a sign-in under way was sent to: its code goes to nobody else. What was begun before begins again.
ALTER TABLE sign_ins ADD COLUMN provider_hash TEXT NOT NULL DEFAULT '';
