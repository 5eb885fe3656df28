-- A call that is open may have begun after now: Postgres' clock was set back, or a standby whose clock is behind has taken over. It has
-- said nothing yet, then; less than nothing made its turn cost less than nothing, which no account takes.
CREATE OR REPLACE FUNCTION {schema}.of_open_calls(
    open_calls jsonb, OUT calls bigint, OUT input_tokens bigint, OUT output_tokens bigint, OUT cost_usd numeric
) LANGUAGE sql STABLE AS $$
    SELECT count(*), coalesce(sum(t.input), 0)::bigint, coalesce(sum(t.output), 0)::bigint,
           coalesce(sum(t.input * t.input_usd + t.output * t.output_usd), 0)
    FROM (
        SELECT (c.value ->> 'input_tokens')::bigint AS input,
               greatest(0, least((c.value ->> 'max_tokens')::bigint,
                     ceil(100 * least(extract(epoch FROM clock_timestamp() - (c.value ->> 'began_at')::timestamptz), 120))::bigint
               )) AS output,
               (c.value ->> 'input_usd')::numeric AS input_usd, (c.value ->> 'output_usd')::numeric AS output_usd
        FROM jsonb_each(open_calls) AS c
    ) AS t
$$;
