-- Takes account, peer_id (0: the account's own mailbox, else a supergroup), since, span, most. Returns message_id of the first `most` ids, of a span
-- behind the newest that was known before that moment, by which no message of ours or of others is known, nor one that shows how a turn
-- goes: one of these is a message that was sent after it, and whose answer was lost. Locks nothing.
WITH before AS (
    SELECT m.message_id FROM {schema}.telegram_messages AS m
    WHERE m.account = %(account)s AND m.created_at < %(since)s
      AND CASE WHEN %(peer_id)s = 0 THEN m.chat_id > -1000000000000 ELSE m.chat_id = %(peer_id)s END
    ORDER BY m.message_id DESC LIMIT 1
), ids AS (
    SELECT generate_series(id + 1, id + %(span)s) AS n FROM (SELECT coalesce((SELECT message_id FROM before), 0) AS id) AS newest
)
SELECT n AS message_id FROM ids
WHERE NOT EXISTS (
    SELECT FROM {schema}.telegram_messages AS m
    WHERE m.account = %(account)s AND m.message_id = n
      AND CASE WHEN %(peer_id)s = 0 THEN m.chat_id > -1000000000000 ELSE m.chat_id = %(peer_id)s END
) AND NOT EXISTS (SELECT FROM {schema}.telegram_progress AS p WHERE p.account = %(account)s AND p.message_id = n)
ORDER BY n
LIMIT %(most)s
