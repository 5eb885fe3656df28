-- Outside a transaction: an index beside those who write. What a chat's next turn is to be told of.
CREATE INDEX CONCURRENTLY deliveries_not_arrived ON {schema}.deliveries (chat, told_in) WHERE state IN ('failed', 'unknown', 'blocked');
