-- The full record of every span, as received and as read. The one source of truth: everything in
-- span_index and traces can be computed again from here.
-- Keyed by identity, not by time: a span sent twice, or again an hour later, has the same key and
-- the larger version wins, wherever its start time moved to. Small granules because reads are by trace.
CREATE TABLE IF NOT EXISTS spans
(
    project_id           LowCardinality(String),
    trace_id             String,
    span_id              String,
    version              UInt64,            -- receive stamp in ns; later replaces earlier
    received_at          DateTime('UTC'),
    retention_days       UInt16,            -- 0: keep for ever
    parent_span_id       String,
    name                 LowCardinality(String),
    kind                 LowCardinality(String),
    status_code          LowCardinality(String),
    status_message       String,
    error_type           LowCardinality(String),
    start_ns             Int64 CODEC(Delta, ZSTD(1)),
    end_ns               Int64 CODEC(Delta, ZSTD(1)),
    category             LowCardinality(String),
    operation            LowCardinality(String),
    provider             LowCardinality(String),
    request_model        LowCardinality(String),
    response_model       LowCardinality(String),
    response_id          String,
    finish_reasons       Array(LowCardinality(String)),
    parameters           String CODEC(ZSTD(1)),     -- JSON object
    system_instructions  String CODEC(ZSTD(1)),     -- JSON array of parts
    input_messages       String CODEC(ZSTD(1)),     -- JSON array of messages
    output_messages      String CODEC(ZSTD(1)),
    tool_definitions     String CODEC(ZSTD(1)),     -- JSON array
    documents            String CODEC(ZSTD(1)),     -- JSON array
    tool_name            LowCardinality(String),
    tool_call_id         String,
    tool_arguments       String CODEC(ZSTD(1)),     -- JSON value, empty when absent
    tool_result          String CODEC(ZSTD(1)),
    agent_name           LowCardinality(String),
    input_preview        String CODEC(ZSTD(1)),
    output_preview       String CODEC(ZSTD(1)),
    search_text          String CODEC(ZSTD(1)),
    input_tokens         Nullable(UInt64),
    output_tokens        Nullable(UInt64),
    cache_read_tokens    Nullable(UInt64),
    cache_write_tokens   Nullable(UInt64),
    reasoning_tokens     Nullable(UInt64),
    audio_input_tokens   Nullable(UInt64),
    audio_output_tokens  Nullable(UInt64),
    usage_basis          LowCardinality(String),
    cost_usd             Nullable(Decimal(18, 12)),
    cost_input_usd       Nullable(Decimal(18, 12)),
    cost_output_usd      Nullable(Decimal(18, 12)),
    cost_reported_usd    Nullable(Decimal(18, 12)),
    cost_status          LowCardinality(String),
    cost_reason          LowCardinality(String),
    ttft_ns              Nullable(Int64),
    ttft_source          LowCardinality(String),
    session_id           String,            -- as on this span; the trace's is in span_index
    user_id              String,
    tags                 Array(LowCardinality(String)),
    metadata             Map(LowCardinality(String), String),
    environment          LowCardinality(String),
    release              LowCardinality(String),
    prompt_name          LowCardinality(String),
    prompt_version       LowCardinality(String),
    service_name         LowCardinality(String),
    host_name            LowCardinality(String),
    service_instance_id  LowCardinality(String),
    dialect              LowCardinality(String),
    mapper_version       UInt16,
    truncated            Bool,
    flags                Array(LowCardinality(String)),
    trace_state          String,
    attributes           String CODEC(ZSTD(1)),     -- JSON object, as received
    resource             String CODEC(ZSTD(1)),     -- JSON object
    scope                String CODEC(ZSTD(1)),     -- JSON {name, version, attributes}
    events               String CODEC(ZSTD(1)),     -- JSON array {name, time_ns, attributes}
    links                String CODEC(ZSTD(1)),     -- JSON array {trace_id, span_id, trace_state, attributes}
    dropped_attributes   UInt32,
    dropped_events       UInt32,
    dropped_links        UInt32,
    INDEX ix_text lower(search_text) TYPE text(tokenizer = splitByNonAlpha) GRANULARITY 1,
    INDEX ix_start start_ns TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, trace_id, span_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024;
