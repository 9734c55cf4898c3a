-- Whom an administrator's change of rules left without a mapping: when that has settled, their end is not a directory's.

CREATE TABLE brake_spared (
    membership TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    unmapped_at INT NOT NULL
);
