-- Takes partition (its name filled in). Locks it, its parent and the default partition against all: settles wait meanwhile,
-- and behind it while it waits itself; that is what take_turns bounds. DETACH CONCURRENTLY, which would not lock the parent, is
-- not to be had where there is a default partition.
DROP TABLE {partition}
