-- Takes ids, keys (arrays of equal length): jobs that the caller has locked (job/limited_heads), and the key that each waits
-- under from now on, having found it short. Locks nothing more.
UPDATE {schema}.jobs AS j SET limit_key = given.key
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(keys)s::text[])) AS given (id, key)
WHERE j.id = given.id
