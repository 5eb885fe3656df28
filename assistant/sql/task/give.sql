-- Takes user_id, into. Gives what is assigned to the one user, or was made by them, to the other. Under user/lock.
-- Why no task is missed that is made meanwhile: the one is marked as merged before this statement, which waits for all that have
-- looked them up for a task of theirs (task/person), and later ones find the other.
UPDATE {schema}.tasks SET
    assignee = CASE assignee WHEN %(user_id)s THEN %(into)s ELSE assignee END,
    created_by = CASE created_by WHEN %(user_id)s THEN %(into)s ELSE created_by END,
    version = version + 1, updated_at = clock_timestamp()
WHERE assignee = %(user_id)s OR created_by = %(user_id)s
