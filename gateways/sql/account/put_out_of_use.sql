-- Takes name, login, state, said. Notes that Telegram takes the key of that login no more; returns prefix; touches no row where that was noted before,
-- or the account was logged in anew.
UPDATE {schema}.telegram_accounts SET state = %(state)s, said = %(said)s
WHERE name = %(name)s AND login = %(login)s AND state = 'active'
RETURNING prefix
