-- People whom a directory told of and who may be somebody whom the organization knows already: an administrator says.

CREATE TABLE reviews (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    directory TEXT NOT NULL,
    directory_user TEXT NOT NULL,
    reason TEXT NOT NULL,
    candidates TEXT NOT NULL,
    created_at INT NOT NULL,
    closed_at INT,
    attached_to TEXT
);
CREATE INDEX reviews_listed ON reviews (organization, id);
CREATE INDEX reviews_directory ON reviews (directory);
