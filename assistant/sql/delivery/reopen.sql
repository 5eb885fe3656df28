-- Takes id. Owes once more what did not arrive, or has no job; whether an earlier try arrived no longer matters: somebody wants it
-- sent. Returns id, channel, account, chat, user_id; no row where it is otherwise. Of two that race the second finds it owed.
UPDATE {schema}.deliveries
SET state = 'owed', said = NULL, unsure_since = NULL, ended_at = NULL, told_in = NULL
WHERE id = %(id)s AND channel IS NOT NULL AND (state IN ('failed', 'unknown', 'blocked') OR (state = 'owed' AND job_id IS NULL))
RETURNING id, channel, account, chat, user_id
