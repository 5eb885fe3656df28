-- Takes partition, parent, first, next (names and times filled in, for DDL has no parameters). Makes the partition of a day.
-- Made beside, then attached: that locks the parent against other DDL only, and the default partition, which it reads, against
-- all. Settles write to neither of them (but where today's partition is missing). It fails, by a check, if a row of that day
-- lies in the default partition already.
CREATE TABLE {partition} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({next})
