-- Takes session_id, turn_id, max_bytes, max_file_bytes. Binds the human messages of the chat that no turn has taken, the oldest
-- first, until they hold so much text or files together, one at least; returns id, content, file_bytes of each, in no order. Locks
-- them.
-- Why it is right when two race: of two that bind at once the second waits and then finds the rows taken. A message that is
-- committed after this statement began stays unbound; the job that came with it stands behind this one in the chat's lane.
WITH open AS (
    SELECT id, row_number() OVER said AS nth, sum(octet_length(content)) OVER said AS bytes,
           sum(file_bytes) OVER said AS files
    FROM {schema}.chat_message_history
    WHERE session_id = %(session_id)s AND type = 'human' AND turn_id IS NULL
    WINDOW said AS (ORDER BY id)
)
UPDATE {schema}.chat_message_history SET turn_id = %(turn_id)s
WHERE id IN (SELECT id FROM open WHERE nth = 1 OR bytes <= %(max_bytes)s AND files <= %(max_file_bytes)s)
  AND session_id = %(session_id)s AND type = 'human' AND turn_id IS NULL AND ended_at IS NULL
RETURNING id, content, file_bytes
