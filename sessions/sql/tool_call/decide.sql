-- Takes session_id, epoch, turn_id, token, user_id, agent, subagent, tool, call_id, digest, allowed_digest, verdict (allow, deny,
-- ask), decided_by, arguments. Records a decision, and the call with it where it is allowed.
-- Returns allowed: whether the call may go to its tool, false also where it went there before; no row: another run has taken the
-- session, and nothing was written. Locks the session FOR SHARE, as session/fence does.
-- Why it is right when two race: of two that let the same call through the second waits for the first one's row, and is not allowed.
WITH held AS MATERIALIZED (
    SELECT id FROM {schema}.sessions WHERE id = %(session_id)s AND epoch = %(epoch)s FOR SHARE
), called AS (
    INSERT INTO {schema}.tool_calls (session_id, call_id, turn_id, token, epoch, subagent, tool, arguments)
    SELECT id, %(call_id)s, %(turn_id)s, %(token)s, %(epoch)s, %(subagent)s, %(tool)s, %(arguments)s
    FROM held WHERE %(verdict)s::text = 'allow'
    ON CONFLICT (session_id, call_id) DO NOTHING
    RETURNING call_id
), judged AS (
    SELECT held.id, CASE WHEN %(verdict)s::text = 'allow' AND NOT EXISTS (SELECT FROM called) THEN 'deny'
                         ELSE %(verdict)s::text END AS verdict
    FROM held
)
INSERT INTO {schema}.tool_decisions (session_id, turn_id, token, user_id, agent, subagent, tool, call_id, digest, allowed_digest,
                                     verdict, decided_by)
SELECT id, %(turn_id)s, %(token)s, %(user_id)s, %(agent)s, %(subagent)s, %(tool)s, %(call_id)s, %(digest)s,
       CASE verdict WHEN 'allow' THEN %(allowed_digest)s::text END, verdict,
       CASE WHEN verdict = %(verdict)s::text THEN %(decided_by)s::text ELSE 'journal: it was called before' END
FROM judged
RETURNING verdict = 'allow' AS allowed
