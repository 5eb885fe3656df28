"""The SQL of a check: what the tables show, and of the invariants those that hold whatever was done before.

S2, S5 and S8 are of deliveries, actions and agents, which the queue does not know.
"""

PREPARE = """
CREATE TABLE IF NOT EXISTS effects (
    job_id bigint NOT NULL, token bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
DO $$
DECLARE day regclass;
BEGIN
    FOR day IN SELECT relid FROM unnest('{jobs.history, jobs.attempts, jobs.notes}'::regclass[]) AS whole,
                                 pg_partition_tree(whole)
               WHERE isleaf AND relid::text ~ '_[0-9]{8}$' LOOP
        EXECUTE 'DROP TABLE ' || day;
    END LOOP;
END $$
"""
"""What runs do besides: a row each, written in the transactions in which they may write at all. And no partitions of days, that
a check does not open dozens of tables: history goes to the default ones."""

EMPTY = """
DELETE FROM jobs.jobs; DELETE FROM jobs.history; DELETE FROM jobs.attempts; DELETE FROM jobs.steps; DELETE FROM jobs.events;
DELETE FROM jobs.job_keys; DELETE FROM jobs.cancel_requests; DELETE FROM jobs.lanes; DELETE FROM jobs.workers;
DELETE FROM jobs.ended_counts; DELETE FROM effects; DELETE FROM jobs.limits; DELETE FROM jobs.limit_slots;
DELETE FROM jobs.pauses; DELETE FROM jobs.paused_times; DELETE FROM jobs.notes; DELETE FROM jobs.redrives;
DELETE FROM jobs.sticky_keys; DELETE FROM jobs.fair_keys; DELETE FROM jobs.ready_times
"""

BROKEN = """
SELECT 'S1: it has ended twice' AS what, id::text AS which FROM jobs.history GROUP BY id HAVING count(*) > 1
UNION ALL SELECT 'S9: it has ended, and lives', id::text FROM jobs.jobs WHERE id IN (SELECT id FROM jobs.history)
UNION ALL SELECT 'S3: it ended by another token than its last run wrote with', h.id::text
    FROM jobs.history AS h JOIN effects AS e ON e.job_id = h.id WHERE e.token > h.token
UNION ALL SELECT 'S4: two of its jobs may run', lane FROM jobs.jobs
    WHERE lane_pos IS NOT NULL AND state <> 'blocked' GROUP BY lane HAVING count(*) > 1
UNION ALL SELECT 'S4: it went past the one ahead of it', id::text FROM jobs.jobs AS j
    WHERE state <> 'blocked' AND lane_pos IS NOT NULL
      AND EXISTS (SELECT FROM jobs.jobs AS a WHERE a.lane = j.lane AND a.lane_pos < j.lane_pos)
UNION ALL SELECT 'S4: its row names another head', l.lane FROM jobs.lanes AS l
    WHERE l.head_pos IS DISTINCT FROM CASE WHEN l.held_at IS NULL
        THEN (SELECT min(j.lane_pos) FROM jobs.jobs AS j WHERE j.lane = l.lane) ELSE 0 END
UNION ALL SELECT 'S4: its lane is held, and it may begin', j.id::text FROM jobs.jobs AS j JOIN jobs.lanes AS l USING (lane)
    WHERE l.held_at IS NOT NULL AND j.lane_pos IS NOT NULL AND j.state <> 'blocked' AND j.token IS NULL
UNION ALL SELECT 'its lane is held for it, for another reason than it failed for', h.id::text
    FROM jobs.history AS h JOIN jobs.lanes AS l ON l.held_job = h.id AND l.held_by = 'job ' || h.id
    WHERE h.state <> 'failed' OR l.held_reason IS DISTINCT FROM h.error
UNION ALL SELECT 'S4: it began before the one ahead of it had ended', id::text FROM (
        SELECT id, claimed_at, max(ended_at) OVER (
                   PARTITION BY lane ORDER BY lane_pos, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM jobs.history WHERE lane_pos IS NOT NULL) AS runs
    WHERE claimed_at < before
UNION ALL SELECT 'S6: something was done for it after it was cancelled', h.id::text FROM jobs.history AS h
    WHERE h.state = 'cancelled' AND (EXISTS (SELECT FROM effects AS e WHERE e.job_id = h.id AND e.at > h.ended_at)
        OR EXISTS (SELECT FROM jobs.steps AS s
                   WHERE s.job_id = h.id AND s.at > h.ended_at AND NOT starts_with(s.name, 'child:')))
UNION ALL SELECT 'S6: its parent was cancelled, and nobody wants it ended', j.id::text
    FROM jobs.jobs AS j JOIN jobs.history AS p ON p.id = j.parent_id AND p.state = 'cancelled'
    WHERE j.id NOT IN (SELECT job_id FROM jobs.cancel_requests)
UNION ALL SELECT 'S7: it was charged for more than its retries', job_id::text FROM jobs.attempts
    WHERE reason IN ('error', 'timeout') GROUP BY job_id HAVING count(*) > 3
UNION ALL SELECT 'S7: it was lost alone more than three times', job_id::text FROM jobs.attempts
    WHERE reason = 'lost' AND alone GROUP BY job_id HAVING count(*) > 3
UNION ALL SELECT 'S10: two jobs have this unique key', unique_key FROM jobs.jobs
    WHERE unique_while = 'unfinished' OR token IS NULL GROUP BY job_type, unique_key HAVING count(unique_key) > 1
UNION ALL SELECT 'S11: blocked, and nobody is ahead of it', id::text FROM jobs.jobs AS j
    WHERE state = 'blocked'
      AND NOT EXISTS (SELECT FROM jobs.jobs AS a WHERE a.lane = j.lane AND a.lane_pos < j.lane_pos)
      AND NOT EXISTS (SELECT FROM jobs.lanes AS l WHERE l.lane = j.lane AND l.held_at IS NOT NULL)
UNION ALL SELECT 'it waits for a worker, and for no longer than that', id::text FROM jobs.jobs
    WHERE preferred_worker IS NOT NULL AND NOT coalesce(scheduled_for <= clock_timestamp() + interval '1 minute', false)
UNION ALL SELECT 'it waits for an event that was emitted', id::text FROM jobs.jobs
    WHERE wait_event IN (SELECT name FROM jobs.events WHERE emitted_at IS NOT NULL)
UNION ALL SELECT 'it waits for children, and none is left', id::text FROM jobs.jobs AS j
    WHERE wait_event = 'jobs:children' AND NOT EXISTS (SELECT FROM jobs.jobs AS c WHERE c.parent_id = j.id)
UNION ALL SELECT 'S12: no claim holds it any more, and it is not free', key || ' ' || n FROM jobs.limit_slots AS s
    WHERE job_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM jobs.jobs AS j WHERE j.id = s.job_id AND j.token = s.token AND j.state IN ('claimed', 'running'))
UNION ALL SELECT 'S12: it has more slots than it says, or less', key FROM jobs.limits AS l
    WHERE NOT over AND coalesce(slots, 0) <> (SELECT count(*) FROM jobs.limit_slots AS s WHERE s.key = l.key)
"""

LOOK = f"""
SELECT
    (SELECT jsonb_agg(j) FROM (
        SELECT id, job_type, priority, lane, lane_pos, ready_seq,
               CASE WHEN state <> 'pending' THEN state WHEN ready_seq IS NULL THEN 'scheduled' ELSE 'ready' END AS state,
               worker_id AS worker, token, retry_count AS retries, lost_count AS lost, coalesce(alone, limited_alone) AS alone,
               alone_lost_count AS alone_lost, rescued, wait_event AS waits_for, wait_until IS NOT NULL AS timed, parent_id,
               unique_key, unique_while, queue, user_id, retry_of, first_priority, sticky_key AS sticky,
               preferred_worker AS prefers,
               CASE WHEN preferred_worker IS NOT NULL THEN extract(epoch FROM scheduled_for) END AS until,
               CASE WHEN jsonb_typeof(limit_group::jsonb -> 0) = 'array' THEN limit_group::jsonb #>> '{{0,0}}' END AS fair
        FROM jobs.jobs) AS j) AS jobs,
    (SELECT jsonb_agg(jsonb_build_array(id, state, token, parent_id, retry_count, lost_count, lane, retry_of, priority,
                                        md5(h::text))) FROM jobs.history AS h) AS history,
    (SELECT jsonb_agg(jsonb_build_array(job_id, token, reason)) FROM jobs.attempts) AS attempts,
    (SELECT jsonb_agg(jsonb_build_array(job_id, name, state, token)) FROM jobs.steps) AS steps,
    (SELECT jsonb_agg(jsonb_build_array(name, emitted_at IS NOT NULL, payload)) FROM jobs.events) AS events,
    (SELECT jsonb_agg(job_id) FROM jobs.cancel_requests) AS requests,
    (SELECT jsonb_agg(jsonb_build_array(job_type, key, job_id, expires_at <= clock_timestamp())) FROM jobs.job_keys) AS keys,
    (SELECT jsonb_agg(jsonb_build_array(id, dead_at IS NOT NULL, expires_at > clock_timestamp())) FROM jobs.workers) AS workers,
    (SELECT jsonb_agg(jsonb_build_array(job_type, state, n)) FROM jobs.ended_counts) AS counts,
    (SELECT jsonb_agg(jsonb_build_array(job_id, token)) FROM effects) AS effects,
    (SELECT jsonb_agg(jsonb_build_array(key, slots, burst, round(jobs.permits_at(l, clock_timestamp())), by_hand))
     FROM jobs.limits AS l) AS limits,
    (SELECT jsonb_agg(jsonb_build_array(key, job_id)) FROM jobs.limit_slots WHERE job_id IS NOT NULL) AS slots,
    (SELECT jsonb_agg(jsonb_build_array(queue, job_type, because = 'operator', coalesce(until > clock_timestamp(), true)))
     FROM jobs.pauses) AS pauses,
    (SELECT jsonb_agg(jsonb_build_array(job_id, kind, n, token)) FROM jobs.notes) AS notes,
    (SELECT jsonb_agg(jsonb_build_array(job_id, successor_id)) FROM jobs.redrives) AS redrives,
    (SELECT jsonb_agg(jsonb_build_array(lane, held_by, CASE WHEN held_by IS DISTINCT FROM 'job ' || held_job
                                                                THEN held_reason END, held_job))
     FROM jobs.lanes WHERE held_at IS NOT NULL) AS holds,
    (SELECT jsonb_agg(jsonb_build_array(key, worker_id)) FROM jobs.sticky_keys) AS sticky,
    (SELECT jsonb_agg(jsonb_build_array(queue, job_type, priority, key, served)) FROM jobs.fair_keys WHERE served > 0) AS turns,
    (SELECT jsonb_agg(what || ': ' || which) FROM ({BROKEN}) AS broken) AS broken
"""
"""All of it in one statement, that a check is one round trip."""
