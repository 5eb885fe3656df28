-- Takes ids, kinds, lasts (arrays of one length: of that job and kind, the number up to which notes are dropped), since (when the
-- first of the jobs was created). Deletes those notes; touches a row for each. Locks them.
-- Sent unprepared: planned with `since`, it opens the days since then only.
DELETE FROM {schema}.notes AS n
USING unnest(%(ids)s::bigint[], %(kinds)s::text[], %(lasts)s::bigint[]) AS given (id, kind, last)
WHERE n.job_id = given.id AND n.kind = given.kind AND n.n <= given.last AND n.said_at >= %(since)s::timestamptz
