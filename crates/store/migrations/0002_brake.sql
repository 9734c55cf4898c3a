-- The brake: limits of directories, what was counted against them, and what is held above them.

ALTER TABLE directories ADD COLUMN brake_people INT;
ALTER TABLE directories ADD COLUMN brake_percent INT;
UPDATE directories SET brake_percent = 20 WHERE kind IN ('scim', 'google');

-- Whom a directory took something from within the window, once each.
CREATE TABLE brake_counted (
    directory TEXT NOT NULL,
    membership TEXT NOT NULL,
    counted_at INT NOT NULL,
    PRIMARY KEY (directory, membership)
);

-- How many they were, by the hour, and how many people it governed when the hour began.
CREATE TABLE brake_hours (
    directory TEXT NOT NULL,
    hour INT NOT NULL,
    people INT NOT NULL,
    governed INT NOT NULL,
    PRIMARY KEY (directory, hour)
);

CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    kind TEXT NOT NULL,
    directory_group TEXT,
    group_name TEXT,
    cause_kind TEXT NOT NULL,
    request_id TEXT,
    event TEXT,
    opened_at INT NOT NULL
);
CREATE INDEX holds_listed ON holds (organization, id);
CREATE INDEX holds_directory ON holds (directory, kind, id);

-- People of holds: a row is a fact that access is resolved by.
CREATE TABLE held_people (
    hold TEXT NOT NULL,
    membership TEXT NOT NULL,
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    because TEXT,
    directory_user TEXT,
    cause_kind TEXT,
    request_id TEXT,
    event TEXT,
    held_at INT NOT NULL,
    refused_at INT,
    PRIMARY KEY (hold, membership)
);
CREATE INDEX held_people_membership ON held_people (membership, kind);
CREATE INDEX held_people_user ON held_people (directory_user) WHERE directory_user IS NOT NULL;

-- What a person keeps of a group that they are in no longer.
CREATE TABLE held_matches (
    hold TEXT NOT NULL,
    membership TEXT NOT NULL,
    mapping TEXT NOT NULL,
    directory_group TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (hold, membership, mapping)
);
CREATE INDEX held_matches_membership ON held_matches (membership);
CREATE INDEX held_matches_mapping ON held_matches (mapping, membership);
CREATE INDEX held_matches_user ON held_matches (directory_user, directory_group);
