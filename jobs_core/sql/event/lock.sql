-- Takes event. Returns emitted: whether it was. Makes its row where there is none, and locks it until the transaction ends.
-- It stands before the statement that lets a job wait, never inside it: an emit that is under way commits first, and is seen
-- here; one that comes later finds the job waiting.
INSERT INTO {schema}.events AS e (name) VALUES (%(event)s)
ON CONFLICT (name) DO UPDATE SET name = e.name
RETURNING e.emitted_at IS NOT NULL AS emitted
