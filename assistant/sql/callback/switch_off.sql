-- Takes name, why. Switches a callback off; touches no row where it is off. Of two at once one does, and tells.
UPDATE {schema}.callbacks SET enabled = false, off_why = %(why)s, changed_at = clock_timestamp() WHERE name = %(name)s AND enabled
