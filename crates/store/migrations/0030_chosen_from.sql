-- Whoever below owner chooses a connection's provider has it say that they are anybody who stands as high: how high the lowest stood
-- who chose since an owner confirmed it, and when that was last chosen. Of those that wait already nobody knows how high: it is taken
-- to be the least that may choose, an administrator's.
ALTER TABLE connections ADD COLUMN chosen_from INT;
ALTER TABLE connections ADD COLUMN chosen_at INT;
UPDATE connections SET chosen_from = 700, chosen_at = unconfirmed_at WHERE unconfirmed_at IS NOT NULL;
