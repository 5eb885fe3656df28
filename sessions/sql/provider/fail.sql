-- Counts a failure of which only several are the provider's. The caller holds the row (provider/lock).
UPDATE {schema}.provider SET failures = failures + 1
