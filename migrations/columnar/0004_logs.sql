-- Log records. GenAI ones (is_genai) carry the content of spans and are joined to them by id,
-- whichever comes first; the same record sent twice has the same log_id and is kept once.
CREATE TABLE IF NOT EXISTS logs
(
    project_id           String,
    trace_id             String,
    span_id              String,
    time_ns              Int64 CODEC(Delta, ZSTD(1)),
    log_id               UInt64,            -- hash of the content
    version              UInt64,
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    is_genai             Bool,
    observed_ns          Int64,
    severity_number      UInt8,
    severity_text        String,
    event_name           String,
    service_name         String,
    body                 String CODEC(ZSTD(1)),     -- JSON value
    attributes           String CODEC(ZSTD(1)),     -- JSON object
    resource             String CODEC(ZSTD(1)),
    scope                String CODEC(ZSTD(1)),
    INDEX ix_time time_ns TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, trace_id, span_id, time_ns, log_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
