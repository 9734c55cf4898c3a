-- Calls of directories that succeeded are forgotten before those that were refused.
CREATE INDEX traces_succeeded ON traces (organization, id) WHERE kind = 'directory' AND outcome = 'ok';

-- Which call of a directory was refused last, whatever becomes of its trace.
CREATE TABLE directory_refusals (
    directory TEXT NOT NULL PRIMARY KEY,
    refused_at INT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    request_id TEXT NOT NULL
);
