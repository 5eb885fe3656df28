-- Takes delay_s. Lets nobody try for so long, or for as long as was said before. The caller holds the row (provider/lock). Returns until.
UPDATE {schema}.provider SET until = greatest(until, clock_timestamp() + make_interval(secs => %(delay_s)s))
RETURNING until
