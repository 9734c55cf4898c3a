-- What lives of a holder or an owner is counted before there is more of it, however much has ended.
CREATE INDEX tokens_living ON tokens (holder, kind, expires_at, id) WHERE ended_at IS NULL;
CREATE INDEX agents_living ON agents (owner, organization) WHERE state <> 'disabled';
