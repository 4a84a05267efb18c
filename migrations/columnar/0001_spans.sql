-- The full record of every span, as received and as read. The one source of truth: everything in
-- span_index and traces can be computed again from here.
-- Keyed by identity, not by time: a span sent twice, or again an hour later, has the same key and
-- the larger version wins, wherever its start time moved to.
--
-- Reads are by trace, so granules and compressed blocks are small: a trace is a handful of rows among
-- millions, and what lies around them is read for nothing. Parts stay compact (one file for all
-- columns) up to 128 MiB, since a part with a file or two per column costs 160 fsyncs. Strings are
-- plain: a dictionary per column and part (LowCardinality) took a third of the insert time, and these
-- columns are never grouped by here.
--
-- The spool forgets a span once it is here, so parts reach the disk before an insert returns, and
-- merged ones before their sources are removed; the same holds for the other tables.
CREATE TABLE IF NOT EXISTS spans
(
    project_id           String,
    trace_id             String,
    span_id              String,
    version              UInt64,            -- later replaces earlier: the arrival, or just above when log events joined
    arrival_ns           UInt64,            -- receive stamp of the span itself
    received_at          DateTime('UTC'),
    retention_days       UInt16,            -- 0: keep for ever
    parent_span_id       String,
    name                 String,
    kind                 String,
    status_code          String,
    status_message       String,
    error_type           String,
    start_ns             Int64 CODEC(Delta, ZSTD(1)),
    end_ns               Int64 CODEC(Delta, ZSTD(1)),
    category             String,
    operation            String,
    provider             String,
    request_model        String,
    response_model       String,
    response_id          String,
    finish_reasons       Array(String),
    parameters           String CODEC(ZSTD(1)),     -- JSON object
    system_instructions  String CODEC(ZSTD(1)),     -- JSON array of parts
    input_messages       String CODEC(ZSTD(1)),     -- JSON array of messages
    output_messages      String CODEC(ZSTD(1)),
    tool_definitions     String CODEC(ZSTD(1)),     -- JSON array
    documents            String CODEC(ZSTD(1)),     -- JSON array
    tool_name            String,
    tool_call_id         String,
    tool_arguments       String CODEC(ZSTD(1)),     -- JSON value, empty when absent
    tool_result          String CODEC(ZSTD(1)),
    agent_name           String,
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
    usage_basis          String,
    cost_usd             Nullable(Decimal(18, 12)),
    cost_input_usd       Nullable(Decimal(18, 12)),
    cost_output_usd      Nullable(Decimal(18, 12)),
    cost_reported_usd    Nullable(Decimal(18, 12)),
    cost_status          String,
    cost_reason          String,
    ttft_ns              Nullable(Int64),
    ttft_source          String,
    session_id           String,            -- as on this span; the trace's is in span_index
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
    mapper_version       UInt16,
    truncated            Bool,
    flags                Array(String),
    trace_state          String,
    attributes           String CODEC(ZSTD(1)),     -- JSON object, as received
    resource             String CODEC(ZSTD(1)),     -- JSON object
    scope                String CODEC(ZSTD(1)),     -- JSON {name, version, attributes}
    events               String CODEC(ZSTD(1)),     -- JSON array {name, time_ns, attributes}
    links                String CODEC(ZSTD(1)),     -- JSON array {trace_id, span_id, trace_state, attributes}
    dropped_attributes   UInt32,
    dropped_events       UInt32,
    dropped_links        UInt32,
    -- What settling reads, as one JSON array: one column in one place instead of 46 in 46. The leading
    -- number is the layout (store/columnar/lookups.py); rows of another layout are read by column.
    facts                String MATERIALIZED toJSONString(tuple(
        1, trace_id, span_id, parent_span_id, version, toUnixTimestamp(received_at), retention_days,
        name, kind, status_code, error_type, start_ns, end_ns, category, operation, provider,
        request_model, response_model, response_id, finish_reasons, tool_name, agent_name,
        input_preview, output_preview, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
        toString(cost_usd), toString(cost_input_usd), toString(cost_output_usd), cost_status,
        ttft_ns, session_id, user_id, tags, metadata, environment, release, prompt_name,
        prompt_version, service_name, host_name, service_instance_id, dialect
    )) CODEC(ZSTD(1)),
    INDEX ix_text lower(search_text) TYPE text(tokenizer = splitByNonAlpha) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, trace_id, span_id)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 128, min_compress_block_size = 8192, min_bytes_for_wide_part = 134217728,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
