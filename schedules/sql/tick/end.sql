-- Takes schedule_ids, slots, outcomes (arrays, side by side) of schedules that the caller has locked. Notes how the ticks' jobs ended.
UPDATE {schema}.schedule_ticks AS t SET outcome = given.outcome
FROM unnest(%(schedule_ids)s::bigint[], %(slots)s::text[], %(outcomes)s::text[]) AS given (schedule_id, slot, outcome)
WHERE t.schedule_id = given.schedule_id AND t.slot = given.slot
