-- Takes session_id, before_id (null: all). Drops what waits in the chat, or what came before that message, but what waits for an owner's word:
-- that has no job, and did not lose one. Returns held_id of each.
-- Why it is right when two race: a run that takes one of them in deletes it first, and finds it gone, or is waited for.
DELETE FROM {schema}.telegram_waiting AS w
WHERE w.session_id = %(session_id)s AND (%(before_id)s::bigint IS NULL OR w.id < %(before_id)s AND NOT EXISTS (
    SELECT FROM {schema}.held_messages AS h WHERE h.id = w.held_id AND NOT h.released
))
RETURNING w.held_id
