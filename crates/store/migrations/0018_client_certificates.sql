-- Certificates of our own keys, for providers that are handed certificates. Keys that were there before have none.
ALTER TABLE client_keys ADD COLUMN certificate TEXT;
ALTER TABLE client_keys ADD COLUMN not_after INT;
