-- Takes what redrive/letters takes to choose them, but `redriven`, and first, next (the span of ended_at, null: open), most.
-- Returns job_type, error, n, redriven: how many dead letters have no successor and how many have one. First a row for each type,
-- whose error is null and `whole` true; then one for each type and error, the most frequent first; `most` rows in all.
-- An error is the beginning of its first line, with # for each number in it, or no two would be alike; '' for none.
-- Locks nothing. Sent unprepared, as history/newest.
SELECT job_type, error, grouping(error) = 1 AS whole, count(*) - count(successor_id) AS n, count(successor_id) AS redriven
FROM (
    SELECT h.job_type, r.successor_id,
           regexp_replace(left(split_part(coalesce(h.error, ''), E'\n', 1), 200), '[0-9]+', '#', 'g') AS error
    FROM {schema}.history AS h
    LEFT JOIN {schema}.redrives AS r ON r.job_id = h.id
    WHERE h.state <> 'complete' AND h.state = ANY(%(states)s::text[])
      AND (%(job_type)s::text IS NULL OR h.job_type = %(job_type)s)
      AND (%(queue)s::text IS NULL OR h.queue = %(queue)s)
      AND (%(user_id)s::text IS NULL OR h.user_id = %(user_id)s)
      AND (%(lane)s::text IS NULL OR h.lane = %(lane)s)
      AND (%(ids)s::bigint[] IS NULL OR h.id = ANY(%(ids)s::bigint[]))
      AND h.ended_at >= coalesce(%(first)s::timestamptz, '-infinity') AND h.ended_at < coalesce(%(next)s::timestamptz, 'infinity')
) AS letters
GROUP BY GROUPING SETS ((job_type), (job_type, error))
ORDER BY whole DESC, count(*) DESC, job_type, error
LIMIT %(most)s
