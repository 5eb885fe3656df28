-- Takes schedule_ids, slots (arrays, side by side). Returns schedule_id, slot, job_id of those ticks that are there already: a rule, a zone
-- or a clock was set back. The caller has locked the schedules, so that none is added before it adds its own. Locks nothing.
SELECT t.schedule_id, t.slot, t.job_id
FROM unnest(%(schedule_ids)s::bigint[], %(slots)s::text[]) AS given (schedule_id, slot)
JOIN {schema}.schedule_ticks AS t USING (schedule_id, slot)
