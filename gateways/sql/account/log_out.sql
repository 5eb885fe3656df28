-- Takes name, login. Forgets the key and token of that login; returns prefix; touches no row where there is a newer one.
UPDATE {schema}.telegram_accounts SET auth_key = NULL, token = NULL, state = 'logged_out', said = NULL
WHERE name = %(name)s AND login = %(login)s
RETURNING prefix
