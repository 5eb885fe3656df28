-- Takes lane, whose row the caller has locked, and held, in a statement before this one. If its first job was never claimed, it
-- waits with the others from now on. Locks that job.
-- Right against a claim: one that has locked the job is waited for, and a job that it took is looked at again and left alone;
-- one that comes later finds it locked, or not ready any more.
UPDATE {schema}.jobs AS j SET state = 'blocked', ready_seq = NULL, preferred_worker = NULL
WHERE j.id = (SELECT id FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos IS NOT NULL ORDER BY lane_pos LIMIT 1)
  AND j.state = 'pending' AND j.token IS NULL
