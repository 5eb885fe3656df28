-- Takes job_id, token. That run tries now. The caller holds the row (provider/lock).
UPDATE {schema}.provider SET prober_job = %(job_id)s, prober_token = %(token)s
