-- Takes session_id, last_id, into (a chat), turns and as_turns (of equal length). Copies the chat's messages up to last_id, with their
-- files: what was said to one of `turns`, which becomes that of `as_turns`, and what stands there without a turn. What somebody said
-- meanwhile, and a later turn took, is left out. Locks nothing that another could want.
WITH turns AS (
    SELECT * FROM unnest(%(turns)s::uuid[], %(as_turns)s::uuid[]) AS t (id, as_id)
), lines AS MATERIALIZED (
    SELECT m.*, nextval(pg_get_serial_sequence('{schema}.chat_message_history', 'id')) AS copy_id FROM (
        SELECT h.id, h.type, h.content, h.ended_at, h.created_at, h.file_bytes, turns.as_id
        FROM {schema}.chat_message_history AS h LEFT JOIN turns ON turns.id = h.turn_id
        WHERE h.session_id = %(session_id)s AND h.id <= %(last_id)s
          AND (turns.id IS NOT NULL OR h.turn_id IS NULL AND h.type = 'system')
        ORDER BY h.id
    ) AS m
), copied AS (
    INSERT INTO {schema}.chat_message_history
        (id, session_id, type, content, turn_id, ended_at, created_at, file_bytes)
    OVERRIDING SYSTEM VALUE
    SELECT copy_id, %(into)s, type, content, as_id, ended_at, created_at, file_bytes FROM lines
), media AS (
    INSERT INTO {schema}.message_media (message_id, nth, file_id)
    SELECT lines.copy_id, c.nth, c.file_id FROM lines JOIN {schema}.message_media AS c ON c.message_id = lines.id
    WHERE lines.file_bytes > 0
)
INSERT INTO {schema}.chat_files (message_id, nth, after_chars, media_type, name, content)
SELECT lines.copy_id, f.nth, f.after_chars, f.media_type, f.name, f.content
FROM lines JOIN {schema}.chat_files AS f ON f.message_id = lines.id
WHERE lines.file_bytes > 0
