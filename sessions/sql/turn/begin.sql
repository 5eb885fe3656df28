-- Takes id, session_id, job_id. Makes a turn that is not answered.
INSERT INTO {schema}.turns (id, session_id, job_id) VALUES (%(id)s, %(session_id)s, %(job_id)s)
