-- Takes user_id, agent, tool, digest. Returns id of what allows such a call, or no row.
SELECT id FROM {schema}.always_allowed
WHERE user_id = %(user_id)s AND agent = %(agent)s AND tool = %(tool)s AND digest = %(digest)s AND revoked_at IS NULL
