-- One row per trace in time order, computed when the trace settles.
CREATE TABLE IF NOT EXISTS traces
(
    project_id           LowCardinality(String),
    start_ns             Int64 CODEC(Delta, ZSTD(1)),    -- earliest span
    trace_id             String,
    version              UInt64,            -- settle stamp in ns
    is_deleted           UInt8,             -- 1: the trace moved to another start_ns
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    end_ns               Int64 CODEC(Delta, ZSTD(1)),    -- latest span
    duration_ns          Int64,
    name                 LowCardinality(String),         -- of the root, else of the earliest span
    root_span_id         String,                         -- empty while the root is missing
    status_code          LowCardinality(String),         -- of that same span
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
    cost_status          LowCardinality(String),
    ttft_ns              Nullable(Int64),                -- of the first model span that has one
    models               Array(LowCardinality(String)),
    providers            Array(LowCardinality(String)),
    categories           Array(LowCardinality(String)),
    operations           Array(LowCardinality(String)),
    services             Array(LowCardinality(String)),
    tool_names           Array(LowCardinality(String)),
    agent_names          Array(LowCardinality(String)),
    error_types          Array(LowCardinality(String)),
    session_id           String,
    user_id              String,
    tags                 Array(LowCardinality(String)),
    metadata             Map(LowCardinality(String), String),
    environment          LowCardinality(String),
    release              LowCardinality(String),
    prompt_names         Array(LowCardinality(String)),
    dialects             Array(LowCardinality(String)),
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
SETTINGS index_granularity = 1024;
