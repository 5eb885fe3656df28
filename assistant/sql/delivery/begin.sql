-- Takes id, job_id. Notes that a try begins, of which nobody knows yet whether it arrives. Returns the delivery, its unsure_since as
-- it was before, and unsure_for, how long that is ago, by this database's clock; no row where it is owed no longer. Locks the row.
-- Called under the job's fence: of two runs of one job, and of the jobs of one lane, one at a time comes here.
WITH found AS (
    SELECT id, unsure_since AS before FROM {schema}.deliveries WHERE id = %(id)s AND state = 'owed' FOR UPDATE
), begun AS (
    UPDATE {schema}.deliveries AS d
    SET job_id = %(job_id)s, tries = d.tries + 1, unsure_since = coalesce(d.unsure_since, clock_timestamp())
    FROM found WHERE d.id = found.id
    RETURNING d.*, found.before, clock_timestamp() - found.before AS unsure_for
)
SELECT id, owed_for, channel, account, chat, user_id, kind, payload, random_id, state, turn_id, created_at, job_id, tries,
    before AS unsure_since, receiver_id, said, ended_at, unsure_for
FROM begun
