-- Takes ids. These are kept no longer, nor what their doors keep of them.
DELETE FROM {schema}.held_messages WHERE id = ANY(%(ids)s::bigint[])
