-- Pauses: what claims leave alone for now, a queue, a type, or a type in a queue; and the time that operators' pauses took.

-- Few rows, or none: every claim reads them all. One whose time is over means nothing to a claim, and upkeep takes it away.
CREATE TABLE {schema}.pauses (
    queue       text COLLATE "C",           -- null: whatever the queue
    job_type    text COLLATE "C",           -- null: whatever the type
    because     text COLLATE "C" NOT NULL,  -- operator, or what the outcome that set it says: rate_limited, …
    reason      text,
    set_by      text NOT NULL,              -- a person, or the job whose run it was
    started_at  timestamptz NOT NULL DEFAULT now(),
    until       timestamptz,                -- null: until somebody resumes it
    CHECK (queue IS NOT NULL OR job_type IS NOT NULL)
) WITH (fillfactor = 50);
-- An operator's pause and an outcome's stand side by side, so that neither shortens the other.
CREATE UNIQUE INDEX pauses_one ON {schema}.pauses (queue, job_type, (because = 'operator')) NULLS NOT DISTINCT;

-- Operators' pauses that have ended: give_up_at moves on by them. Kept while a job lives that was last claimed before the end.
CREATE TABLE {schema}.paused_times (
    queue       text COLLATE "C",
    job_type    text COLLATE "C",
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL
);
CREATE INDEX paused_times_end ON {schema}.paused_times (ended_at);

-- Both functions are PL/pgSQL, whose plans a session keeps: claims are planned anew each time, for their values, and whatever
-- stands in them is planned with them. As a join in the claim, the first of the two took a tenth of an empty claim's time; the
-- second, in SQL, a third, for the planner reads such a body to see whether it could put it in the call's place.

-- Takes queues, job_types. Returns which of the types are paused in which of the queues, {queue: [job_type, …]}; null: nothing is
-- paused at all. Locks nothing. Stable: it sees what its statement sees.
CREATE FUNCTION {schema}.paused(queues text[], job_types text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM {schema}.pauses) THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT jsonb_object_agg(of_queue.name, of_queue.types)
        FROM (
            SELECT q.name, jsonb_agg(t.name) AS types
            FROM unnest(queues) AS q (name) CROSS JOIN unnest(job_types) AS t (name)
            WHERE EXISTS (
                SELECT FROM {schema}.pauses AS p
                WHERE coalesce(p.queue, q.name) = q.name AND coalesce(p.job_type, t.name) = t.name
                  AND coalesce(p.until, 'infinity') > clock_timestamp()
            )
            GROUP BY q.name
        ) AS of_queue
    );
END $$;

-- Takes queue, job_type of a job, and since. Returns for how many seconds of the time from `since` until now the job was paused by
-- an operator; where two pauses lie over each other, that time counts once. Locks nothing.
CREATE FUNCTION {schema}.paused_s(queue text, job_type text, since timestamptz) RETURNS double precision
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce(sum(extract(epoch FROM upper(span) - lower(span))), 0)
        FROM unnest((
            SELECT range_agg(tstzrange(greatest(p.started_at, paused_s.since), p.ended_at))
            FROM (
                SELECT queue, job_type, started_at, least(until, clock_timestamp()) AS ended_at
                FROM {schema}.pauses WHERE because = 'operator'
                UNION ALL
                SELECT queue, job_type, started_at, ended_at
                FROM {schema}.paused_times WHERE ended_at > paused_s.since
            ) AS p
            WHERE coalesce(p.queue, paused_s.queue) = paused_s.queue
              AND coalesce(p.job_type, paused_s.job_type) = paused_s.job_type
              AND p.ended_at > greatest(p.started_at, paused_s.since)
        )) AS span
    );
END $$;
