-- The event with which somebody was left without a mapping: when that has settled, their end follows from it.
ALTER TABLE memberships ADD COLUMN unmapped_event TEXT;
UPDATE memberships SET unmapped_event = (SELECT MIN(e.id) FROM audit_events e WHERE e.target = memberships.id
AND e.organization = memberships.organization AND e.action = 'member.access_changed'
AND e.created_at = memberships.unmapped_at)
WHERE unmapped_at IS NOT NULL AND ended_at IS NULL;
