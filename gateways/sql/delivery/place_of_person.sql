-- Takes account (null: the first one, whose chats are named after the channel alone), tg_user_id. Returns account, kind, access_hash
-- (null: none is known) of that person's own chat with it; no row: there is no such account. Locks nothing.
SELECT a.name AS account, a.kind, p.access_hash
FROM {schema}.telegram_accounts AS a
LEFT JOIN {schema}.telegram_peers AS p ON p.account = a.name AND p.peer_id = %(tg_user_id)s
WHERE CASE WHEN %(account)s::text IS NULL THEN a.prefix = 'telegram' ELSE a.name = %(account)s END
