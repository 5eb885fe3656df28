-- Takes name, holder. Lets go of an account, so that others need not wait for the lease to run out.
UPDATE {schema}.telegram_accounts SET holder = NULL, lease_until = '-infinity' WHERE name = %(name)s AND holder = %(holder)s
