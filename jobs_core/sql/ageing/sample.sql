-- Takes every_s. Notes how far readiness numbers have come by now, unless somebody did so little ago; two that race both do. Locks
-- nothing. A number up to that was drawn before: whoever became ready with it has waited at least since then. What was noted for
-- a time to come, by a clock that was set back since, says nothing of now.
INSERT INTO {schema}.ready_times (ready_seq)
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {schema}.ready_seq
WHERE NOT EXISTS (
    SELECT FROM {schema}.ready_times
    WHERE at > clock_timestamp() - make_interval(secs => %(every_s)s) AND at <= clock_timestamp()
)
