-- Returns owners, how many there are.
SELECT count(*) AS owners FROM {schema}.users WHERE role = 'owner' AND merged_into IS NULL
