-- For tests. Takes secs. Sets `jobs.passed` for the rest of the transaction: what testing/pass_time reads, being no query.
SELECT set_config('jobs.passed', make_interval(secs => %(secs)s)::text, true)
