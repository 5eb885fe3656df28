-- Outside a transaction: indexes beside those who write. What has no place yet, what is read after a place, and a person's chats at Telegram.
CREATE INDEX CONCURRENTLY notifications_unplaced ON {schema}.notifications (id) WHERE seq IS NULL;
CREATE INDEX CONCURRENTLY notifications_placed ON {schema}.notifications (seq) WHERE seq IS NOT NULL;
CREATE INDEX CONCURRENTLY chat_sessions_of_telegram ON {schema}.chat_sessions (user_id) WHERE channel = 'telegram';
