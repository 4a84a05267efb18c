-- Metric data points of every OTLP type, one row each; a point sent twice is kept once.
CREATE TABLE IF NOT EXISTS metric_points
(
    project_id           String,
    name                 String,
    series_id            UInt64,            -- hash of resource, scope and attributes
    time_ns              Int64 CODEC(Delta, ZSTD(1)),
    version              UInt64,
    received_at          DateTime('UTC'),
    retention_days       UInt16,
    start_ns             Int64 CODEC(Delta, ZSTD(1)),
    type                 String,
    temporality          String,
    monotonic            Bool,
    unit                 String,
    description          String,
    service_name         String,
    host_name            String,
    attributes           Map(String, String),
    resource             String CODEC(ZSTD(1)),
    scope                String,
    value                Nullable(Float64),
    count                UInt64,
    sum                  Nullable(Float64),
    min                  Nullable(Float64),
    max                  Nullable(Float64),
    explicit_bounds      Array(Float64),
    bucket_counts        Array(UInt64),
    scale                Int32,
    zero_count           UInt64,
    positive_offset      Int32,
    positive_counts      Array(UInt64),
    negative_offset      Int32,
    negative_counts      Array(UInt64),
    quantiles            Array(Tuple(Float64, Float64))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (project_id, name, series_id, time_ns)
TTL received_at + toIntervalDay(retention_days) DELETE WHERE retention_days > 0
SETTINGS index_granularity = 4096, min_bytes_for_wide_part = 67108864,
         fsync_after_insert = 1, fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1,
         merge_selector_base = 10;
