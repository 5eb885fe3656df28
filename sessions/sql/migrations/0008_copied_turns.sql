-- A turn may be a copy: of another session's, which was forked, or of one in a file that was imported. No job here ran it, so its
-- job_id is 0, and its usage is the original's.
ALTER TABLE {schema}.turns ADD COLUMN copy_of uuid;
