-- Takes ids, seen_untils, next_ats, failures, paused_whys (arrays, side by side) of schedules that the caller has locked. Notes how far each
-- is decided; where a reason is given it is paused. Named twice, they are found by their index: for hundreds the planner would read the
-- whole table instead.
UPDATE {schema}.schedules AS s
SET seen_until = given.seen_until, next_at = given.next_at, failures = given.failures,
    paused_at = CASE WHEN given.paused_why IS NOT NULL THEN now() END, paused_why = given.paused_why
FROM unnest(%(ids)s::bigint[], %(seen_untils)s::timestamptz[], %(next_ats)s::timestamptz[], %(failures)s::integer[],
            %(paused_whys)s::text[]) AS given (id, seen_until, next_at, failures, paused_why)
WHERE s.id = given.id AND s.id = ANY(%(ids)s::bigint[])
