-- The place of a receipt among those of its organization, in the order in which they were signed: by it they are followed.
-- Those that were signed before are placed by when they were opened.
ALTER TABLE receipts ADD COLUMN number INT;
UPDATE receipts SET number = placed.place FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY organization ORDER BY id) AS place
    FROM receipts WHERE jws IS NOT NULL) AS placed WHERE placed.id = receipts.id;
CREATE UNIQUE INDEX receipts_number ON receipts (organization, number) WHERE number IS NOT NULL;
