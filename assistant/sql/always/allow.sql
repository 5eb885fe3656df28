-- Takes user_id, agent, tool, digest, arguments, allowed_by. Allows just such calls from now on; touches no row where they are.
INSERT INTO {schema}.always_allowed (user_id, agent, tool, digest, arguments, allowed_by)
VALUES (%(user_id)s, %(agent)s, %(tool)s, %(digest)s, %(arguments)s, %(allowed_by)s)
ON CONFLICT (user_id, agent, tool, digest) WHERE revoked_at IS NULL DO NOTHING
