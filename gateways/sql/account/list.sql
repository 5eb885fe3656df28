-- Takes name (null: all). Returns accounts, the first one first, without what they log in with.
SELECT name, kind, prefix, tg_user_id, username, state, said, holder, lease_until > clock_timestamp() AS held, created_at
FROM {schema}.telegram_accounts
WHERE %(name)s::text IS NULL OR name = %(name)s
ORDER BY created_at, name
