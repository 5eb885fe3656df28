-- Takes name. Has nobody take the account up any more; who holds it lets go at the next renewal. Returns what is needed to log out at
-- Telegram, and held, whether somebody holds it still; no row: there is no such account.
UPDATE {schema}.telegram_accounts SET state = CASE WHEN state = 'active' THEN 'logged_out' ELSE state END
WHERE name = %(name)s
RETURNING api_id, api_hash, dc_id, server_address, port, auth_key, login, state, lease_until > clock_timestamp() AS held
