-- Takes message_id and arrays of equal length: nths, after_chars, media_types, names (null: none), contents. Adds a message's files.
INSERT INTO {schema}.chat_files (message_id, nth, after_chars, media_type, name, content)
SELECT %(message_id)s, f.nth, f.after_chars, f.media_type, f.name, f.content
FROM unnest(%(nths)s::smallint[], %(after_chars)s::integer[], %(media_types)s::text[], %(names)s::text[], %(contents)s::bytea[])
    AS f (nth, after_chars, media_type, name, content)
