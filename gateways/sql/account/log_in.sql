-- Takes name and what a login came to. Makes the account, or gives the one of this name, if it is the same one at Telegram, its new
-- key; holder and lease stay, and who holds it sees by `login` that the key is another. Returns the account; no row: the name is
-- another's. Raises a unique violation where the account has another name. The first account of all has the short prefix.
INSERT INTO {schema}.telegram_accounts AS a
       (name, kind, prefix, tg_user_id, username, api_id, api_hash, token, dc_id, server_address, port, auth_key)
SELECT %(name)s, %(kind)s, CASE WHEN EXISTS (SELECT FROM {schema}.telegram_accounts) THEN 'telegram_' || %(name)s ELSE 'telegram' END,
       %(tg_user_id)s, %(username)s, %(api_id)s, %(api_hash)s, %(token)s, %(dc_id)s, %(server_address)s, %(port)s, %(auth_key)s
ON CONFLICT (name) DO UPDATE
SET username = excluded.username, api_id = excluded.api_id, api_hash = excluded.api_hash, token = excluded.token,
    dc_id = excluded.dc_id, server_address = excluded.server_address, port = excluded.port, auth_key = excluded.auth_key,
    login = a.login + 1, state = 'active', said = NULL
WHERE a.tg_user_id = excluded.tg_user_id
RETURNING name, kind, prefix, tg_user_id, username, state, said, holder, lease_until > clock_timestamp() AS held, created_at
