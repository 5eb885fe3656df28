-- Takes id. Returns the message of that id and, of an album, all its parts that wait, in the order in which they were sent; age_s is how
-- long ago each came. No row: it was taken in, with an earlier part of its album. Locks nothing: a chat's jobs are one lane.
SELECT p.id, p.account, p.chat_id, p.message_id, p.session_id, p.user_id, p.before, p.content, p.forwarded, p.file_id, p.dc_id, p.location,
       p.grouped_id IS NOT NULL AS of_album, extract(epoch FROM clock_timestamp() - p.created_at)::float8 AS age_s
FROM {schema}.telegram_waiting AS w
JOIN {schema}.telegram_waiting AS p ON p.session_id = w.session_id
    AND (p.id = w.id OR (p.grouped_id = w.grouped_id AND p.account = w.account AND p.chat_id = w.chat_id))
WHERE w.id = %(id)s
ORDER BY p.message_id, p.id
