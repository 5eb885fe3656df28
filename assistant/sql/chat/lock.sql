-- Takes session_id. Returns one row where there is such a chat. Locks it: messages that are being taken in, and turns that are
-- beginning (both FOR SHARE), are waited for, and later ones wait. Not FOR UPDATE: a turn that ends holds its messages and then, by
-- its foreign key, asks for FOR KEY SHARE here, while we ask for those messages.
SELECT FROM {schema}.chat_sessions WHERE session_id = %(session_id)s FOR NO KEY UPDATE
