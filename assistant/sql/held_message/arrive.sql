-- Takes id, arrival_id, file_ids. Notes by what number the door keeps this one, and what files it brings. Under user/hold.
UPDATE {schema}.held_messages SET arrival_id = %(arrival_id)s, file_ids = %(file_ids)s WHERE id = %(id)s
