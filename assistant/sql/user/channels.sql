-- Takes user_id. Returns channel, address, created_at of each channel by which they come.
SELECT channel, address, created_at FROM {schema}.user_channels
WHERE user_id = %(user_id)s
ORDER BY channel, address
