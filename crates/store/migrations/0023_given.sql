-- A word is believed as far as whoever said it stood, or as what its directory gave then. What was given then nobody knows any
-- more, so what was said until now is believed as far as what is given now: nobody is shut out who came in by it.
UPDATE directory_users SET believed_up_to = (SELECT MAX(r.rank) FROM directories d
JOIN roles r ON r.organization = d.organization
WHERE d.id = directory_users.directory AND (r.slug = d.default_role
OR r.slug IN (SELECT m.role FROM mappings m WHERE m.directory = d.id AND m.role IS NOT NULL)))
WHERE believed_up_to < (SELECT MAX(r.rank) FROM directories d
JOIN roles r ON r.organization = d.organization
WHERE d.id = directory_users.directory AND (r.slug = d.default_role
OR r.slug IN (SELECT m.role FROM mappings m WHERE m.directory = d.id AND m.role IS NOT NULL)));

-- So is the word by which a link was made.
UPDATE links SET believed_up_to = (SELECT MAX(r.rank) FROM connections c
JOIN directories d ON d.id = c.directory JOIN roles r ON r.organization = d.organization
WHERE c.id = links.connection AND (r.slug = d.default_role
OR r.slug IN (SELECT m.role FROM mappings m WHERE m.directory = d.id AND m.role IS NOT NULL)))
WHERE believed_up_to < (SELECT MAX(r.rank) FROM connections c
JOIN directories d ON d.id = c.directory JOIN roles r ON r.organization = d.organization
WHERE c.id = links.connection AND (r.slug = d.default_role
OR r.slug IN (SELECT m.role FROM mappings m WHERE m.directory = d.id AND m.role IS NOT NULL)));
