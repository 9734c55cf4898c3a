-- Whoever is off-boarded is nobody's heir any more, and gets no agent for having chosen its rule.
CREATE INDEX agents_heir ON agents (heir) WHERE heir IS NOT NULL;
CREATE INDEX agents_rule_chosen_by ON agents (rule_chosen_by) WHERE rule_chosen_by IS NOT NULL;
UPDATE agents SET heir = NULL
    WHERE heir IN (SELECT id FROM memberships WHERE ended_at IS NOT NULL);
UPDATE agents SET rule_chosen_by = NULL
    WHERE rule_chosen_by IN (SELECT id FROM memberships WHERE ended_at IS NOT NULL);
