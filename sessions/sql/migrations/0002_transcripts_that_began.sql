-- A session says itself that its transcript began: where its entries are gone then, they were lost, and no run may begin anew
-- under its id. Answered turns proved that only from the first answer on.
ALTER TABLE {schema}.sessions ADD COLUMN has_transcript boolean NOT NULL DEFAULT false;
UPDATE {schema}.sessions AS s SET has_transcript = true
WHERE EXISTS (SELECT FROM {schema}.transcript_entries AS e WHERE e.session_id = s.id);
