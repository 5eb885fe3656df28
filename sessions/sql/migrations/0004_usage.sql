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
    open_calls         jsonb NOT NULL DEFAULT '{}', -- id of a call that is under way → what it is estimated by (of_open_calls)
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

-- What calls that are under way, or were cut off by a crash, are estimated at: what goes in by the request's size, and out 100 tokens a
-- second since the call began, which few models pass, for two minutes, which few answers take, and no more than it asked for.
CREATE FUNCTION {schema}.of_open_calls(
    open_calls jsonb, OUT calls bigint, OUT input_tokens bigint, OUT output_tokens bigint, OUT cost_usd numeric
) LANGUAGE sql STABLE AS $$
    SELECT count(*), coalesce(sum(t.input), 0)::bigint, coalesce(sum(t.output), 0)::bigint,
           coalesce(sum(t.input * t.input_usd + t.output * t.output_usd), 0)
    FROM (
        SELECT (c.value ->> 'input_tokens')::bigint AS input,
               least((c.value ->> 'max_tokens')::bigint,
                     ceil(100 * least(extract(epoch FROM clock_timestamp() - (c.value ->> 'began_at')::timestamptz), 120))::bigint
               ) AS output,
               (c.value ->> 'input_usd')::numeric AS input_usd, (c.value ->> 'output_usd')::numeric AS output_usd
        FROM jsonb_each(open_calls) AS c
    ) AS t
$$;

-- A row with its open calls estimated: what budgets and totals are made of.
CREATE VIEW {schema}.usage_counted AS
SELECT u.turn_id, u.token, u.model, u.session_id, u.job_id, u.user_id, u.task_id, u.project_id, u.agent, u.guessed_price,
       u.began_at, u.calls, u.estimated_calls, o.calls AS open_calls,
       u.input_tokens + o.input_tokens AS input_tokens, u.output_tokens + o.output_tokens AS output_tokens,
       u.cache_read_tokens, u.cache_write_tokens, u.tool_calls, u.duration_s, u.cost_usd + o.cost_usd AS cost_usd
FROM {schema}.usage AS u, LATERAL {schema}.of_open_calls(u.open_calls) AS o;
