-- Limits: of a key at most so many jobs run at once, anywhere, and at most so many are claimed a second.

CREATE TABLE {schema}.limits (
    key         text COLLATE "C" PRIMARY KEY,
    slots       integer,            -- how many run at once; null: any number
    rate_per_s  double precision,   -- permits that fall into the bucket a second; null: no bucket
    burst       double precision,   -- permits that the bucket holds; null: no bucket
    permits     double precision,   -- that were in it at filled_at; null: no bucket
    filled_at   timestamptz,
    over        boolean NOT NULL DEFAULT false,  -- more slots are held than there are now: fit them before any is taken
    by_hand     boolean NOT NULL,   -- false: made for a job, with the numbers that its type gives
    created_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- What lies in the bucket at a time. By how much a clock was set back counts as time that passed, or no permit would fall due
-- until it has come to where it was.
CREATE FUNCTION {schema}.permits_at(l {schema}.limits, at timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(l.burst, l.permits + l.rate_per_s * abs(extract(epoch FROM at - l.filled_at)::double precision))
$$;

-- A row a slot: as many as the limit says; where it was lowered, as many as are held.
CREATE TABLE {schema}.limit_slots (
    key     text COLLATE "C" NOT NULL,
    n       integer NOT NULL,
    job_id  bigint,     -- who holds it; null: free
    token   bigint,     -- of the claim that took it
    PRIMARY KEY (key, n)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX limit_slots_free ON {schema}.limit_slots (key, n) WHERE job_id IS NULL;
CREATE INDEX limit_slots_job ON {schema}.limit_slots (job_id) WHERE job_id IS NOT NULL;

ALTER TABLE {schema}.jobs
    ADD COLUMN limits         jsonb,              -- by key: weight, and the numbers for a key that is new; null: no limits
    ADD COLUMN limit_group    text COLLATE "C",   -- its keys, sorted, as a JSON array: those with the same ones wait together
    -- Of a job with limits, what alone says of the others. There alone itself is null, which is neither true nor false: claims
    -- of ordinary jobs and of suspects pass such a job by, and so do those of code that was made before there were limits.
    ADD COLUMN limited_alone  boolean,
    ALTER COLUMN alone DROP NOT NULL;
