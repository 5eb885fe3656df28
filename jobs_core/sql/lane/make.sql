-- Takes lanes. Makes the rows that are missing; those that exist are left alone.
INSERT INTO {schema}.lanes (lane) SELECT lane FROM unnest(%(lanes)s::text[]) AS given (lane) ORDER BY lane
ON CONFLICT DO NOTHING
