-- Traces are looked for by the directory or connection that they came by.

ALTER TABLE traces ADD COLUMN source TEXT;
