-- How a connection reads what its provider says of people, as JSON; what is not said is as usual.
ALTER TABLE connections ADD COLUMN claim_rules TEXT NOT NULL DEFAULT '{}';
