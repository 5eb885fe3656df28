-- Takes id, name, media_type, bytes. All of the file is here. One row, or none where it was not coming.
UPDATE {schema}.media_files SET state = 'here', name = %(name)s, media_type = %(media_type)s, bytes = %(bytes)s
WHERE id = %(id)s AND state = 'coming'
