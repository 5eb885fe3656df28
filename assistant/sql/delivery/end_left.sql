-- Takes said. Ends deliveries whose jobs ended without a word of them: cancelled, given up. Returns them. Locks
-- them. Why it is right when others act on them: a job that has ended stays so; and a delivery that has been given another job
-- since this statement looked has another job_id by the time its row is locked, and is left alone.
WITH gone AS MATERIALIZED (
    SELECT id, job_id FROM {schema}.deliveries AS d
    WHERE state = 'owed' AND job_id IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = d.job_id)
)
UPDATE {schema}.deliveries AS d
SET state = CASE WHEN d.unsure_since IS NULL THEN 'failed' ELSE 'unknown' END, said = %(said)s, ended_at = clock_timestamp()
FROM gone WHERE d.id = gone.id AND d.job_id = gone.job_id AND d.state = 'owed'
RETURNING d.id, d.owed_for, d.channel, d.account, d.chat, d.user_id, d.kind, d.payload, d.random_id, d.state, d.turn_id, d.created_at, d.job_id, d.tries, d.unsure_since,
    d.receiver_id, d.said, d.ended_at
