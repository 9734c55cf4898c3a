-- Nobody has proved an address by setting a password behind a link that an administrator gave them: so each organization's
-- person of that address has a password of their own, and no organization takes an address from another.

CREATE TABLE authenticators_by_user (
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    email_key TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (user_id, kind)
);
INSERT INTO authenticators_by_user (user_id, kind, email_key, secret, created_at)
SELECT user_id, kind, email_key, secret, created_at FROM authenticators;
DROP TABLE authenticators;
ALTER TABLE authenticators_by_user RENAME TO authenticators;
CREATE INDEX authenticators_email ON authenticators (email_key, created_at, user_id);
