-- Takes turn_ids. Returns turn_id, cost_usd of each that has used anything, all its runs and models added up. Locks nothing.
SELECT turn_id, sum(cost_usd) AS cost_usd FROM {schema}.usage_counted WHERE turn_id = ANY(%(turn_ids)s::uuid[]) GROUP BY turn_id
