-- Takes ids, tokens (of claims, arrays of one length), and what their runs said, arrays of one length, too: of (the token), kinds,
-- ns, texts, data (JSON text or null), said_at. Writes the notes of those runs that hold their jobs and whose jobs nobody has
-- locked. Returns now; written: the tokens whose notes are written; holding: those that may hold their jobs: where these are not
-- written, somebody had the job's row locked, and they are to be said again. The others' lease is lost; nothing was written.
-- Locks the jobs FOR SHARE, so that what is written is there before the run's end is, or a takeover: a reader who saw either
-- has seen all notes of that run. Locked rows are passed over, not waited for: a settle may hold one for as long as its `also`
-- takes, and other runs wait for this statement. Fenced like job/start. A note that is there already is left as it is.
WITH holding AS MATERIALIZED (
    SELECT j.id, j.token FROM {schema}.jobs AS j
    JOIN unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::bigint[])) AS given (id, token)
        ON j.id = given.id AND j.token = given.token AND j.state NOT IN ('pending', 'blocked', 'waiting')
), held AS MATERIALIZED (
    SELECT j.id, j.token FROM {schema}.jobs AS j
    JOIN unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::bigint[])) AS given (id, token)
        ON j.id = given.id AND j.token = given.token AND j.state NOT IN ('pending', 'blocked', 'waiting')
    FOR SHARE OF j SKIP LOCKED
), written AS (
    INSERT INTO {schema}.notes (job_id, kind, n, token, text, data, said_at)
    SELECT held.id, said.kind, said.n, said.token, said.text, said.data::jsonb, said.at
    FROM unnest(%(of)s::bigint[], %(kinds)b::text[], %(ns)s::bigint[], %(texts)b::text[], %(data)b::text[],
                %(said_at)s::timestamptz[]) AS said (token, kind, n, text, data, at)
    JOIN held ON held.token = said.token
    ON CONFLICT DO NOTHING
)
SELECT clock_timestamp() AS now, (SELECT array_agg(token) FROM held) AS written,
       (SELECT array_agg(token) FROM holding) AS holding
