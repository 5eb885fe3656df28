-- Somebody may try now: nobody probes, and the time is over. The caller holds the row (provider/lock). Nothing where it is open.
UPDATE {schema}.provider SET until = clock_timestamp(), prober_job = NULL, prober_token = NULL WHERE state <> 'open'
