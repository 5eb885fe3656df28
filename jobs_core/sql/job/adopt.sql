-- Takes id (of a job inserted in this transaction), parent_id. Makes the one the other's child.
UPDATE {schema}.jobs SET parent_id = %(parent_id)s WHERE id = %(id)s
