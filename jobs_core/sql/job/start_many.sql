-- Takes arrays of equal length: ids, tokens of claims. Returns `ids` of the jobs that are now running, null for none: the
-- lease of the others is lost. Locks the jobs. Fenced like job/start.
-- Each array stands in a SELECT, so that the planner does not see its length: for 500 it would rather read a small table whole.
WITH started AS (
    UPDATE {schema}.jobs AS j SET state = 'running', started_at = clock_timestamp()
    FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::bigint[])) AS given (id, token)
    WHERE j.id = given.id AND j.token = given.token
      AND j.state NOT IN ('pending', 'blocked', 'waiting')
    RETURNING j.id
)
SELECT array_agg(id) AS ids FROM started
