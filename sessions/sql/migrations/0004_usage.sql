-- The usage ledger: what each run of a turn used, by model. Written before each call to the API and after it.
-- A row carries whose it is, because jobs move to history; it is small, and kept for good.
CREATE TABLE {schema}.usage (
    turn_id            uuid NOT NULL,
    token              bigint NOT NULL,         -- of the claim under which the turn was run
    model              text COLLATE "C" NOT NULL,
    session_id         uuid NOT NULL,
    job_id             bigint,
    user_id            text,
    task_id            bigint,
    project_id         text,
    agent              text,
    calls              integer NOT NULL DEFAULT 0,  -- begun, those that are open included
    estimated_calls    integer NOT NULL DEFAULT 0,  -- of which a part was estimated
    open_calls         jsonb NOT NULL DEFAULT '{}', -- id of the call → the most it can use: {"input", "output", "usd"}
    input_tokens       bigint NOT NULL DEFAULT 0,
    output_tokens      bigint NOT NULL DEFAULT 0,
    cache_read_tokens  bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    cost_usd           numeric NOT NULL DEFAULT 0,
    guessed_price      boolean NOT NULL,        -- the model is in no price list
    tool_calls         integer NOT NULL DEFAULT 0,
    duration_s         float8 NOT NULL DEFAULT 0,
    began_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (turn_id, token, model)
) WITH (fillfactor = 70);

-- By what no call changes, so that writing a call touches no index.
CREATE INDEX usage_began ON {schema}.usage (began_at);
CREATE INDEX usage_session ON {schema}.usage (session_id, began_at);

-- A row with its open calls counted at the most they can use: what budgets and totals are made of.
CREATE VIEW {schema}.usage_counted AS
SELECT u.turn_id, u.token, u.model, u.session_id, u.job_id, u.user_id, u.task_id, u.project_id, u.agent, u.guessed_price,
       u.began_at, u.calls, u.estimated_calls, o.calls AS open_calls,
       u.input_tokens + o.input AS input_tokens, u.output_tokens + o.output AS output_tokens,
       u.cache_read_tokens, u.cache_write_tokens, u.tool_calls, u.duration_s, u.cost_usd + o.usd AS cost_usd
FROM {schema}.usage AS u, LATERAL (
    SELECT count(*) AS calls, coalesce(sum((c.value ->> 'input')::bigint), 0)::bigint AS input,
           coalesce(sum((c.value ->> 'output')::bigint), 0)::bigint AS output,
           coalesce(sum((c.value ->> 'usd')::numeric), 0) AS usd
    FROM jsonb_each(u.open_calls) AS c
) AS o;
