-- Takes keys and spent (arrays of equal length: permits), of buckets that the caller has locked (limit/acquire).
-- Takes so much out of each. Locks nothing more.
UPDATE {schema}.limits AS l SET permits = {schema}.permits_at(l, clock.at) - given.spent, filled_at = clock.at
FROM unnest(%(keys)s::text[], %(spent)s::double precision[]) AS given (key, spent), (SELECT clock_timestamp() AS at) AS clock
WHERE l.key = given.key
