-- Figures of each minute and hour by what they are usually grouped by, as states that can be merged.
-- A bucket is computed as a whole, under a new generation; rollup_marks then says which generation of it
-- is the one to read. So a bucket changes at once, also when a group vanished from it, and what an
-- earlier or a delayed computation left is never read: it goes with a merge or with its age.
CREATE TABLE IF NOT EXISTS rollups
(
    project_id           String,
    step_s               UInt32,            -- width of the bucket: 60 or 3600
    start_s              Int64 CODEC(Delta, ZSTD(1)),   -- its beginning, unix seconds
    generation           UInt64,            -- fence of the computation (derive/contract.py)
    received_at          DateTime('UTC'),   -- of the last span in it
    retention_days       UInt16,            -- 0: keep for ever
    expires_s            UInt32,            -- when the first of its spans expires, unix seconds; the largest: never
    -- What figures are grouped and filtered by, named as in span_index.
    model                LowCardinality(String),
    provider             LowCardinality(String),
    operation            LowCardinality(String),
    category             LowCardinality(String),
    service_name         LowCardinality(String),
    environment          LowCardinality(String),
    release              LowCardinality(String),
    status_code          LowCardinality(String),
    error_type           LowCardinality(String),
    cost_status          LowCardinality(String),
    finish_reasons       Array(String),
    user_tier            LowCardinality(String),        -- the metadata value under tier_key
    is_request           Bool,              -- a call of a model, by the rule of the metric `requests`
    tier_key             LowCardinality(String),
    -- Sums; tokens and cost of spans that count.
    spans                UInt64,
    input_tokens         UInt64,
    output_tokens        UInt64,
    cache_read_tokens    UInt64,
    cache_write_tokens   UInt64,
    reasoning_tokens     UInt64,
    audio_input_tokens   UInt64,
    audio_output_tokens  UInt64,
    cost_usd             Decimal(38, 12),
    cost_input_usd       Decimal(38, 12),
    cost_output_usd      Decimal(38, 12),
    -- Spreads; time to first token of requests, tokens per second of spans that count. The sketches bound the
    -- relative error of a percentile at 1 %, and merging them loses nothing.
    duration_sum_ns      Int128,
    duration_min_ns      Nullable(Int64),
    duration_max_ns      Nullable(Int64),
    duration_sketch      AggregateFunction(quantileDD(0.01, 0.5), Float64),
    ttft_count           UInt64,
    ttft_sum_ns          Int128,
    ttft_min_ns          Nullable(Int64),
    ttft_max_ns          Nullable(Int64),
    ttft_sketch          AggregateFunction(quantileDD(0.01, 0.5), Float64),
    rate_count           UInt64,
    rate_sum             Float64,
    rate_min             Nullable(Float64),
    rate_max             Nullable(Float64),
    rate_sketch          AggregateFunction(quantileDD(0.01, 0.5), Float64)
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, step_s, start_s, model, provider, operation, category, service_name, environment, release,
          status_code, error_type, cost_status, finish_reasons, user_tier, is_request)
TTL greatest(received_at, toDateTime(least(start_s, 4102444800), 'UTC')) + toIntervalDay(retention_days)
    DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

-- Which generation of a bucket to read. A bucket without a mark has no spans, or none that were rolled up.
CREATE TABLE IF NOT EXISTS rollup_marks
(
    project_id           String,
    step_s               UInt32,
    start_s              Int64 CODEC(Delta, ZSTD(1)),
    generation           UInt64,
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    expires_s            UInt32,
    tier_key             LowCardinality(String),
    groups               UInt64,            -- rows of the bucket, and the spans they are made of: what reading costs
    spans                UInt64
)
ENGINE = ReplacingMergeTree(generation)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, step_s, start_s)
TTL greatest(received_at, toDateTime(least(start_s, 4102444800), 'UTC')) + toIntervalDay(retention_days)
    DELETE WHERE retention_days > 0
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;

-- How far the rollups are, one row: every span that was settled and stored at position_ns, and whose start
-- is at or after covered_from_ns and keep_from_ns, is in them.
CREATE TABLE IF NOT EXISTS rollup_state
(
    project_id           String,            -- empty: all projects
    generation           UInt64,
    position_ns          Int64,
    covered_from_ns      Int64,             -- what is older was stored before the first rollup, and is being caught up
    keep_from_ns         Int64,             -- what is older may have been removed for its age
    tier_key             String
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY project_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1;
