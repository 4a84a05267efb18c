-- Images, sound and files that came inside of spans and log records as base64, each once per project, by the SHA-256 of
-- its bytes. The version is the second until which a copy is kept: seen again, the one that lasts longest stays.
CREATE TABLE IF NOT EXISTS blobs
(
    project_id           String,
    hash                 String,                    -- SHA-256 of the decoded bytes, hex
    version              UInt64,                    -- unix seconds; 2^64-1: kept for ever
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    media_type           String,                    -- as the bytes show; as the sender said where they show nothing
    size_bytes           UInt64,                    -- of the decoded bytes
    -- The base64 text: rows travel as JSON, and ZSTD takes away the third that base64 adds.
    data                 String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, hash)
-- A day longer than the spans: a blob seen again is written again once a day, not each time.
TTL received_at + toIntervalDay(retention_days + 1) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 64, index_granularity_bytes = 1048576, min_bytes_for_wide_part = 1048576,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
