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
-- The access of before is text of the form [["eng","admin"]]: a slug in front, and no slug has a wildcard in it.
INSERT INTO team_members (organization, membership, team, team_role)
    SELECT m.organization, m.id, t.slug,
        CASE WHEN m.teams LIKE '%["' || t.slug || '","admin"]%' THEN 'admin' ELSE 'member' END
    FROM memberships m JOIN teams t ON t.organization = m.organization
    WHERE m.teams LIKE '%["' || t.slug || '",%';

-- The rank of whoever ordered a suspension: a lead lifts none that was ordered from above. Unknown for those of before.
ALTER TABLE memberships ADD COLUMN suspended_rank INT;
