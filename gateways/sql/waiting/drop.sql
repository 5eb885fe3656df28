-- Takes session_id, before_id (null: all). Drops what waits in the chat and came before that message; returns held_id of each.
-- Why it is right when two race: a run that takes one of them in deletes it first, and finds it gone, or is waited for.
DELETE FROM {schema}.telegram_waiting
WHERE session_id = %(session_id)s AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
RETURNING held_id
