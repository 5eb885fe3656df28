-- Takes session_id, turn_id, user_id, agent, tool, call_id, digest, allowed_digest (null: it did not run), decided_by. Adds to the
-- audit what a person says of a call of which nobody knew whether it ran. Locks nothing.
INSERT INTO {schema}.tool_decisions (session_id, turn_id, user_id, agent, subagent, tool, call_id, digest, allowed_digest,
                                     verdict, decided_by)
VALUES (%(session_id)s, %(turn_id)s, %(user_id)s, %(agent)s, false, %(tool)s, %(call_id)s, %(digest)s, %(allowed_digest)s,
        CASE WHEN %(allowed_digest)s::text IS NULL THEN 'deny' ELSE 'allow' END, %(decided_by)s)
