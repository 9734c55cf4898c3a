-- By which of their links a session came in, and how far the way in was believed when a token was issued. Of before it is the link
-- of that member at that connection that is believed least: which one it was, nobody wrote down. 1000 is without limit.
ALTER TABLE tokens ADD COLUMN subject TEXT;
ALTER TABLE tokens ADD COLUMN believed_up_to INT NOT NULL DEFAULT 1000;
UPDATE tokens SET subject = (SELECT l.subject FROM links l WHERE l.membership = tokens.membership
        AND l.connection = tokens.connection AND l.organization = tokens.organization ORDER BY l.believed_up_to, l.subject LIMIT 1)
    WHERE connection IS NOT NULL;
UPDATE tokens SET believed_up_to = COALESCE((SELECT l.believed_up_to FROM tokens s
        JOIN links l ON l.connection = s.connection AND l.subject = s.subject
        WHERE s.id = CASE WHEN tokens.connection IS NULL THEN tokens.parent ELSE tokens.id END), 1000)
    WHERE connection IS NOT NULL OR parent IS NOT NULL;
