-- Takes arrays of equal length: ids of jobs inserted in this transaction, keys, spans_s. Gives them their keys. Locks what is the
-- caller's own. Each array stands in a SELECT, so that the planner does not see its length: as in job/end_many.
UPDATE {schema}.jobs AS j SET sticky_key = given.key, sticky_s = given.span_s
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(keys)s::text[]), (SELECT %(spans_s)s::double precision[]))
     AS given (id, key, span_s)
WHERE j.id = given.id
