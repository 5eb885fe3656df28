-- Outside a transaction: indexes beside those who write. Lists of chats, newest first: all of them, and one user's.
CREATE INDEX CONCURRENTLY chat_sessions_newest ON {schema}.chat_sessions (created_at, session_id);
CREATE INDEX CONCURRENTLY chat_sessions_of_user ON {schema}.chat_sessions (user_id, created_at, session_id);
