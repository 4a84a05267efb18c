-- One narrow row per span in time order: what lists, filters, facets and metrics read. Written when
-- a trace settles, so it holds what only the whole trace can tell: whether usage counts, and the
-- session, user, tags and other context that some span of the trace carried.
CREATE TABLE IF NOT EXISTS span_index
(
    project_id           String,
    start_ns             Int64 CODEC(Delta, ZSTD(1)),
    trace_id             String,
    span_id              String,
    version              UInt64,            -- settle stamp in ns
    is_deleted           UInt8,             -- 1: the span moved to another start_ns
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    parent_span_id       String,
    is_root              Bool,              -- has no parent, or its parent is not stored
    end_ns               Int64 CODEC(Delta, ZSTD(1)),
    duration_ns          Int64,
    name                 String,
    kind                 String,
    status_code          String,
    error_type           String,
    category             String,
    operation            String,
    provider             String,
    model                String,                    -- served, else requested
    request_model        String,
    response_model       String,
    finish_reasons       Array(String),
    tool_name            String,
    agent_name           String,
    input_preview        String CODEC(ZSTD(1)),
    output_preview       String CODEC(ZSTD(1)),
    input_tokens         Nullable(UInt64),
    output_tokens        Nullable(UInt64),
    cache_read_tokens    Nullable(UInt64),
    cache_write_tokens   Nullable(UInt64),
    reasoning_tokens     Nullable(UInt64),
    audio_input_tokens   Nullable(UInt64),
    audio_output_tokens  Nullable(UInt64),
    counted              Bool,              -- do tokens and cost of this span count in sums?
    cost_usd             Nullable(Decimal(18, 12)),
    cost_input_usd       Nullable(Decimal(18, 12)),
    cost_output_usd      Nullable(Decimal(18, 12)),
    cost_status          String,
    ttft_ns              Nullable(Int64),
    session_id           String,
    user_id              String,
    tags                 Array(String),
    metadata             Map(String, String),
    environment          String,
    release              String,
    prompt_name          String,
    prompt_version       String,
    service_name         String,
    host_name            String,
    service_instance_id  String,
    dialect              String,
    INDEX ix_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, start_ns, trace_id, span_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 4096, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
