-- By which group somebody had what a hold lets them keep: one that they were in themselves, be it the group that lost them or
-- one below it. Of what was held before it is taken to be the group that lost them.
CREATE TABLE kept_through (
    hold TEXT NOT NULL,
    membership TEXT NOT NULL,
    mapping TEXT NOT NULL,
    directory_group TEXT NOT NULL,
    through TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (hold, membership, mapping, through)
);
INSERT INTO kept_through (hold, membership, mapping, directory_group, through, directory_user, request_id)
    SELECT hold, membership, mapping, directory_group, directory_group, directory_user, request_id FROM held_matches;
DROP TABLE held_matches;
ALTER TABLE kept_through RENAME TO held_matches;
CREATE INDEX held_matches_membership ON held_matches (membership);
CREATE INDEX held_matches_mapping ON held_matches (mapping, membership);
CREATE INDEX held_matches_user ON held_matches (directory_user, directory_group);
