-- A token that was issued for another environment than `production`, to somebody who was in `production`, is worth nothing outside
-- of it, whatever becomes of that. Of those from before it is so where their holder is in `production` now, or would be.
ALTER TABLE tokens ADD COLUMN confined_at INT;
UPDATE tokens SET confined_at = issued_at WHERE environment <> 'production' AND membership IN (SELECT id FROM memberships
    WHERE environments = '[]' OR environments LIKE '%"production"%');
