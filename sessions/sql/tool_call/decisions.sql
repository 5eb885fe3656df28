-- Takes session_id (null: of all), before_id (null: from the newest), limit. Returns the newest decisions about calls, newest first.
SELECT id, at, session_id, turn_id, token, user_id, agent, subagent, tool, call_id, digest, allowed_digest, verdict, decided_by
FROM {schema}.tool_decisions
WHERE (%(session_id)s::uuid IS NULL OR session_id = %(session_id)s) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
