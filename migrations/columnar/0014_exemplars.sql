-- The examples that came with a metric's points: single measurements, and the spans that were active when they were made.
ALTER TABLE metric_points ADD COLUMN IF NOT EXISTS exemplars Array(Tuple(
    time_ns Int64, value Float64, trace_id String, span_id String, attributes Map(String, String)
)) AFTER quantiles;
