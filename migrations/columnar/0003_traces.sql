-- One row per trace in time order, computed when the trace settles.
CREATE TABLE IF NOT EXISTS traces
(
    project_id           String,
    start_ns             Int64 CODEC(Delta, ZSTD(1)),    -- earliest span
    trace_id             String,
    version              UInt64,            -- settle stamp in ns
    is_deleted           UInt8,             -- 1: the trace moved to another start_ns
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    end_ns               Int64 CODEC(Delta, ZSTD(1)),    -- latest span
    duration_ns          Int64,
    name                 String,                         -- of the root, else of the earliest span
    root_span_id         String,                         -- empty while the root is missing
    status_code          String,                         -- of that same span
    span_count           UInt32,
    error_count          UInt32,
    llm_count            UInt32,
    input_tokens         Nullable(UInt64),               -- counted spans only, as are all sums here
    output_tokens        Nullable(UInt64),
    cache_read_tokens    Nullable(UInt64),
    cache_write_tokens   Nullable(UInt64),
    reasoning_tokens     Nullable(UInt64),
    cost_usd             Nullable(Decimal(18, 12)),
    cost_input_usd       Nullable(Decimal(18, 12)),
    cost_output_usd      Nullable(Decimal(18, 12)),
    cost_status          String,
    ttft_ns              Nullable(Int64),                -- of the first model span that has one
    models               Array(String),
    providers            Array(String),
    categories           Array(String),
    operations           Array(String),
    services             Array(String),
    tool_names           Array(String),
    agent_names          Array(String),
    error_types          Array(String),
    session_id           String,
    user_id              String,
    tags                 Array(String),
    metadata             Map(String, String),
    environment          String,
    release              String,
    prompt_names         Array(String),
    dialects             Array(String),
    input_preview        String CODEC(ZSTD(1)),
    output_preview       String CODEC(ZSTD(1)),
    INDEX ix_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, start_ns, trace_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
