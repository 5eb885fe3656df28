-- Takes event. Returns name and wanted, which of these events, of the callbacks that are on and want some, by name: in that order
-- lanes are locked. Locks nothing: one that is switched off meanwhile is owed this event yet, and its sender refuses it.
SELECT name, events -> %(event)s::text AS wanted FROM {schema}.callbacks WHERE enabled AND events ? %(event)s::text ORDER BY name
