-- Takes id, job_id. Says which job sends a delivery, in the transaction that has made that job. Locks the row.
UPDATE {schema}.deliveries SET job_id = %(job_id)s WHERE id = %(id)s
