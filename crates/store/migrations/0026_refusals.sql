-- Calls of directories that succeeded are forgotten before those that were refused.
CREATE INDEX traces_succeeded ON traces (organization, id) WHERE kind = 'directory' AND outcome = 'ok';
