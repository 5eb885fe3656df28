-- Takes name, overlap_s. The secrets of a source, whose row the caller has locked, are good for so long yet and no longer; those
-- whose time is over are deleted.
WITH over AS (
    DELETE FROM {schema}.webhook_secrets WHERE source = %(name)s AND valid_until <= clock_timestamp()
)
UPDATE {schema}.webhook_secrets
SET valid_until = least(valid_until, clock_timestamp() + make_interval(secs => %(overlap_s)s))
WHERE source = %(name)s AND (valid_until IS NULL OR valid_until > clock_timestamp())
