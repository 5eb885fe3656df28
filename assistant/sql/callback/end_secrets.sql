-- Takes name, overlap_s. The secrets of a callback, whose row the caller has locked, sign for so long yet and no longer; those
-- whose time is over are deleted.
WITH over AS (
    DELETE FROM {schema}.callback_secrets WHERE callback = %(name)s AND valid_until <= clock_timestamp()
)
UPDATE {schema}.callback_secrets
SET valid_until = least(valid_until, clock_timestamp() + make_interval(secs => %(overlap_s)s))
WHERE callback = %(name)s AND (valid_until IS NULL OR valid_until > clock_timestamp())
