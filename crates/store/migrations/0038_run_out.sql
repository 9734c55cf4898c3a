-- What of a connection has not run out is found without a look at what has.
DROP INDEX tokens_connection;
CREATE INDEX tokens_connection ON tokens (connection, expires_at) WHERE connection IS NOT NULL;
