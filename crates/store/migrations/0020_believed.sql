-- How far it is believed what a directory calls somebody: the rank of the lowest who could have said it. What was said until
-- now is believed as far as whoever saw a token stands now that was good meanwhile, and whoever left counts while theirs was
-- not ended; 1000 is everybody.
ALTER TABLE directory_users ADD COLUMN believed_up_to INT NOT NULL DEFAULT 1000;
UPDATE directory_users SET believed_up_to = (SELECT COALESCE(MIN(CASE WHEN m.ended_at IS NULL THEN COALESCE(r.rank, 0)
ELSE 0 END), 1000) FROM tokens t LEFT JOIN tokens p ON p.id = t.parent
JOIN memberships m ON m.id = t.shown_to OR m.id = p.membership
LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role
WHERE t.holder = directory_users.directory AND t.kind = 'scim_token' AND t.issued_at <= directory_users.updated_at
AND (t.ended_at IS NULL OR t.ended_at >= directory_users.created_at)
AND (t.expires_at IS NULL OR t.expires_at >= directory_users.created_at)
AND (m.ended_at IS NULL OR t.ended_at IS NULL));

-- How far the word is believed by which a link was made. Those of before stand.
ALTER TABLE links ADD COLUMN believed_up_to INT NOT NULL DEFAULT 1000;
