-- Until when a connection had another issuer, told by its newest link or session of then: what is not newer says nothing
-- of who gets in by it now.
ALTER TABLE connections ADD COLUMN moved_at INT;
