-- By which certificate of a provider the word came that a link was made by: whoever has its key may have made it. Of links that were
-- there before nobody knows.
ALTER TABLE links ADD COLUMN signed_by TEXT NOT NULL DEFAULT '';
CREATE INDEX links_signed ON links (signed_by, organization, connection, subject);
