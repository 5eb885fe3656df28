-- Takes before (a day). Deletes the counts of days before it. Locks those rows, which no worker adds to any more.
DELETE FROM {schema}.ended_counts WHERE day < %(before)s::date
