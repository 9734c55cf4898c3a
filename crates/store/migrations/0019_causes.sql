-- The event with which somebody was left without a mapping: when that has settled, their end follows from it.
ALTER TABLE memberships ADD COLUMN unmapped_event TEXT;
-- By which calls about many somebody was marked, and under which number their access was stored before.
ALTER TABLE memberships ADD COLUMN marked_from INT;
ALTER TABLE memberships ADD COLUMN marked_by TEXT;

-- Changes of rules that are carried out later: access that was stored under an older number follows from those after it.
CREATE TABLE rules_changes (
    organization TEXT NOT NULL,
    number INT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (organization, number)
);

-- What is known of those who settle, and of what is being carried out.
UPDATE memberships SET unmapped_event = (SELECT MIN(e.id) FROM audit_events e WHERE e.target = memberships.id
AND e.organization = memberships.organization AND e.action = 'member.access_changed'
AND e.created_at = memberships.unmapped_at)
WHERE unmapped_at IS NOT NULL AND ended_at IS NULL;
INSERT INTO rules_changes (organization, number, event)
SELECT id, rules_number, rules_event FROM organizations WHERE rules_event IS NOT NULL;
UPDATE memberships SET marked_by = (SELECT o.rules_event FROM organizations o WHERE o.id = memberships.organization)
WHERE rules_number = 0;
ALTER TABLE organizations DROP COLUMN rules_event;
