-- A directory that tells of everybody governs whom claims brought, and claims give them nothing. Whoever is told of by both is
-- brought in step by the job, and by whoever meets them before it.
UPDATE memberships SET marked_from = CASE WHEN rules_number > 0 THEN rules_number ELSE marked_from END, rules_number = 0
WHERE ended_at IS NULL
AND id IN (SELECT u.membership FROM directory_users u JOIN directories d ON d.id = u.directory WHERE d.kind = 'claims')
AND id IN (SELECT u.membership FROM directory_users u JOIN directories d ON d.id = u.directory WHERE d.kind <> 'claims');

-- So is everybody of whom a connection kept claims that reads them no more.
UPDATE memberships SET marked_from = CASE WHEN rules_number > 0 THEN rules_number ELSE marked_from END, rules_number = 0
WHERE ended_at IS NULL
AND id IN (SELECT u.membership FROM directory_users u JOIN connections c ON c.claims_directory = u.directory
WHERE c.directory IS NOT NULL);
