-- Takes because (not operator). Ends the pauses that runs have set because of that. Locks their rows; one that is being prolonged is waited
-- for, and then ended as well.
DELETE FROM {schema}.pauses WHERE because = %(because)s
