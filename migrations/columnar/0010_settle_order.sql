-- What settled since a worker looked last. Rows are in order of start time, and what settles together started
-- together for the most part, so the least and largest stamp of each granule rule out nearly all of them.
ALTER TABLE span_index ADD INDEX IF NOT EXISTS ix_version version TYPE minmax GRANULARITY 1;
ALTER TABLE span_index MATERIALIZE INDEX ix_version;
