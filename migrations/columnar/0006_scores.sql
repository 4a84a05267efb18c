-- Judgements by people, judges and applications, on a trace (span_id empty), a span, or a session
-- (trace_id empty). The same score_id again replaces the earlier value.
CREATE TABLE IF NOT EXISTS scores
(
    project_id           String,
    trace_id             String,
    span_id              String,
    session_id           String,
    name                 String,
    score_id             String,
    version              UInt64,
    is_deleted           UInt8,
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    value                Nullable(Float64),
    label                String,
    source               String,                    -- judge human sdk import
    explanation          String CODEC(ZSTD(1)),
    evaluator            String,
    created_ns           Int64
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, trace_id, span_id, session_id, name, score_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;
