-- Takes ids, tokens: arrays of equal length. Returns token of each claim that holds its job. Locks nothing: a claim that has lost its
-- job never gets it back, so what is not returned stays so.
SELECT c.token FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS c (id, token)
JOIN {schema}.jobs AS j ON j.id = c.id AND j.token = c.token
WHERE j.state NOT IN ('pending', 'blocked', 'waiting')
