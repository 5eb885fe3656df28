-- Outside a transaction: an index beside those who write. What the list of approvals begins with: `pending_actions_open` lacks those of
-- which nobody knows whether they ran.
CREATE INDEX CONCURRENTLY pending_actions_to_see ON {schema}.pending_actions (id)
    WHERE state IN ('pending', 'approved', 'executing', 'unknown');
