-- Takes scope, key, period. Removes that cap; touches no row where there is none.
DELETE FROM {schema}.budget_caps WHERE scope = %(scope)s AND key = %(key)s AND period = %(period)s
