-- Takes name, holder. Returns one row while this process holds the account. Locks it FOR KEY SHARE until the caller's transaction ends:
-- who would take it over (account/acquire, FOR UPDATE) waits, or came first and is seen; a renewal of the lease does not wait.
SELECT FROM {schema}.telegram_accounts WHERE name = %(name)s AND holder = %(holder)s FOR KEY SHARE
