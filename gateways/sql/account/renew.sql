-- Takes name, holder, login, lease_s. Moves the lease on; touches no row where it ran out, another process took the account, or it
-- was logged in anew or out. Changes no key column: a transaction that takes a message in (account/fence) is not waited for.
UPDATE {schema}.telegram_accounts SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE name = %(name)s AND holder = %(holder)s AND login = %(login)s AND state = 'active' AND lease_until > clock_timestamp()
