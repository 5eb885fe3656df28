-- Takes of_user, to_user. Makes what is assigned to the one, or was made by them, the other's. Locks those tasks, in no order: of two
-- that meet on some of them one is a deadlock's victim, and may be repeated.
UPDATE {schema}.tasks SET
    assignee = CASE assignee WHEN %(of_user)s THEN %(to_user)s ELSE assignee END,
    created_by = CASE created_by WHEN %(of_user)s THEN %(to_user)s ELSE created_by END,
    version = version + 1, updated_at = clock_timestamp()
WHERE assignee = %(of_user)s OR created_by = %(of_user)s
