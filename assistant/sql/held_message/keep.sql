-- Takes user_id, channel, account, session_id, content, idempotency_key. Keeps what a stranger said; returns id. Under user/hold.
INSERT INTO {schema}.held_messages (user_id, channel, account, session_id, content, idempotency_key)
VALUES (%(user_id)s, %(channel)s, %(account)s, %(session_id)s, %(content)s, %(idempotency_key)s)
RETURNING id
