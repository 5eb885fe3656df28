-- Takes names. Returns name of those whose limits, or turns, follow from a job by the type's code, as it was last declared.
-- Locks nothing.
SELECT name FROM {schema}.job_types WHERE name = ANY(%(names)s::text[]) AND (has_limits OR fair_by IS NOT NULL)
