-- Takes id, arrival_id. Notes by what number the door keeps this one. Under user/hold.
UPDATE {schema}.held_messages SET arrival_id = %(arrival_id)s WHERE id = %(id)s
