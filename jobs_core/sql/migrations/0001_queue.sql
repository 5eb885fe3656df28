-- The queue: jobs that are not ended, the workers that hold them, the lanes they stand in, and what has ended.
-- The rules these tables live by stand in docs/design.md, "A job's life".

CREATE SEQUENCE {schema}.ready_seq;
CREATE SEQUENCE {schema}.token_seq;
CREATE SEQUENCE {schema}.job_id_seq;

CREATE TABLE {schema}.workers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host        text NOT NULL,
    pid         integer NOT NULL,
    queues      text[] NOT NULL,
    job_types   text[] NOT NULL,
    slots       integer NOT NULL,
    lease_s     double precision NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    dead_at     timestamptz
) WITH (fillfactor = 50);

CREATE TABLE {schema}.lanes (
    lane        text COLLATE "C" PRIMARY KEY,
    next_pos    bigint NOT NULL DEFAULT 1,
    head_pos    bigint          -- the position of the one job that may run; null: the lane is empty
) WITH (fillfactor = 50);

CREATE TABLE {schema}.jobs (
    id             bigint PRIMARY KEY DEFAULT nextval('{schema}.job_id_seq'),
    job_type       text COLLATE "C" NOT NULL,
    queue          text COLLATE "C" NOT NULL,
    priority       smallint NOT NULL,
    state          text COLLATE "C" NOT NULL
                   CHECK (state IN ('pending', 'blocked', 'waiting', 'claimed', 'running')),
    input          jsonb NOT NULL,
    user_id        text,
    task_id        bigint,
    project_id     text,
    lane           text COLLATE "C",
    lane_pos       bigint,      -- null with a lane: due later, joins its lane then
    ready_seq      bigint,      -- drawn when the job becomes ready; null: not ready
    scheduled_for  timestamptz,
    worker_id      bigint,      -- who holds it; null: nobody
    token          bigint,      -- the last claim's; stays after a put-back, so that it only ever grows
    retry_count    integer NOT NULL DEFAULT 0,
    lost_count     integer NOT NULL DEFAULT 0,
    rescued        boolean NOT NULL DEFAULT false,
    last_error     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    claimed_at     timestamptz,
    started_at     timestamptz,
    CHECK ((lane_pos IS NULL) OR (lane IS NOT NULL)),
    CHECK ((ready_seq IS NULL) OR (state = 'pending')),
    CHECK ((worker_id IS NOT NULL) = (state IN ('claimed', 'running')))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- What claims look through: ready jobs only, led by what a worker selects by.
CREATE INDEX jobs_ready ON {schema}.jobs (queue, job_type, priority, ready_seq) WHERE ready_seq IS NOT NULL;
-- What promotion looks through: jobs that wait for a time; those apart that will join a lane then.
CREATE INDEX jobs_due ON {schema}.jobs (scheduled_for)
    WHERE ready_seq IS NULL AND state = 'pending' AND (lane IS NULL OR lane_pos IS NOT NULL);
CREATE INDEX jobs_joining ON {schema}.jobs (scheduled_for)
    WHERE ready_seq IS NULL AND state = 'pending' AND lane IS NOT NULL AND lane_pos IS NULL;
-- What rescue looks through: jobs that a worker holds.
CREATE INDEX jobs_held ON {schema}.jobs (worker_id) WHERE worker_id IS NOT NULL;
-- A lane in order.
CREATE INDEX jobs_lane ON {schema}.jobs (lane, lane_pos) WHERE lane_pos IS NOT NULL;

CREATE TABLE {schema}.history (
    id             bigint PRIMARY KEY,
    job_type       text COLLATE "C" NOT NULL,
    queue          text COLLATE "C" NOT NULL,
    priority       smallint NOT NULL,
    state          text COLLATE "C" NOT NULL CHECK (state IN ('complete', 'failed', 'cancelled')),
    input          jsonb NOT NULL,
    result         jsonb,
    error          text,
    user_id        text,
    task_id        bigint,
    project_id     text,
    lane           text COLLATE "C",
    lane_pos       bigint,
    scheduled_for  timestamptz,
    worker_id      bigint,
    token          bigint,      -- of the claim that ended it
    retry_count    integer NOT NULL,
    lost_count     integer NOT NULL,
    created_at     timestamptz NOT NULL,
    claimed_at     timestamptz,
    started_at     timestamptz,
    ended_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
