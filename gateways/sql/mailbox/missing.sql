-- Takes account, peer_id (0: the account's own mailbox, else a supergroup), first, last, most. Returns message_id of the first `most` ids
-- in between, both included, by which no message was taken in or sent.
SELECT n AS message_id FROM generate_series(%(first)s::int, %(last)s::int) AS n
WHERE NOT EXISTS (
    SELECT FROM {schema}.telegram_messages AS m
    WHERE m.account = %(account)s AND m.message_id = n
      AND CASE WHEN %(peer_id)s = 0 THEN m.chat_id > -1000000000000 ELSE m.chat_id = %(peer_id)s END
)
ORDER BY n
LIMIT %(most)s
