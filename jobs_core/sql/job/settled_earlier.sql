-- Takes ids, tokens of claims, since (a day ago). Returns id of the jobs that these claims ended: history says so, or, of those
-- that it does not keep, they are gone. Locks nothing. Asked within seconds of the settle, so that the last day of history will
-- do. Sent unprepared: planned with `since`, it opens that day's partitions only, and with now() it opened all (2,156 locks).
SELECT given.id FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS given (id, token)
WHERE NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = given.id)
  AND NOT EXISTS (
      SELECT FROM {schema}.history AS h
      WHERE h.id = given.id AND h.token IS DISTINCT FROM given.token AND h.ended_at > %(since)s::timestamptz
  )
