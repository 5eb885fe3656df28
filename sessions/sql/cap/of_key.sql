-- Takes scope, key. Returns period, cap_usd of each cap that the key stands under, its own before its scope's default. Locks nothing.
SELECT DISTINCT ON (period) period, cap_usd FROM {schema}.budget_caps
WHERE scope = %(scope)s AND key IN (%(key)s, '*')
ORDER BY period, key = '*'
