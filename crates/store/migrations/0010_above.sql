-- What becomes of a statement above a directory's brake: held where nothing is said.

ALTER TABLE directories ADD COLUMN brake_above TEXT;
