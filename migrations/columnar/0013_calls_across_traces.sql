-- What tells that spans of two traces report one call: the id of its response, who says so, and whether the call
-- stands alone in its trace. Such spans are looked for by time, in which this table is ordered, and only where the
-- process cannot have seen the other itself (drain/recent_calls.py). Rows written before this lack them until their
-- trace settles again.
ALTER TABLE span_index
    ADD COLUMN IF NOT EXISTS response_id String AFTER response_model,
    ADD COLUMN IF NOT EXISTS call_scope String AFTER counted_reason,   -- empty but for model spans with a response id
    ADD COLUMN IF NOT EXISTS lone_call Bool AFTER call_scope;          -- only model spans above it in its trace
