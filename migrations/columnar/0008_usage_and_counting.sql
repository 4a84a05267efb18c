-- Finer usage and whose prices were used; why a span counts; and the scope that wrote a span among the
-- facts that settling reads, since one call seen by two instrumentations differs in nothing else.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS cache_write_1h_tokens Nullable(UInt64) AFTER audio_output_tokens,
    ADD COLUMN IF NOT EXISTS audio_cache_read_tokens Nullable(UInt64) AFTER cache_write_1h_tokens,
    ADD COLUMN IF NOT EXISTS image_input_tokens Nullable(UInt64) AFTER audio_cache_read_tokens,
    ADD COLUMN IF NOT EXISTS image_output_tokens Nullable(UInt64) AFTER image_input_tokens,
    ADD COLUMN IF NOT EXISTS tool_use_tokens Nullable(UInt64) AFTER image_output_tokens,
    ADD COLUMN IF NOT EXISTS web_search_requests Nullable(UInt64) AFTER tool_use_tokens,
    ADD COLUMN IF NOT EXISTS service_tier String AFTER web_search_requests,
    ADD COLUMN IF NOT EXISTS cost_source String AFTER cost_reason,
    ADD COLUMN IF NOT EXISTS scope_name String ALIAS JSONExtractString(scope, 'name') AFTER scope;

-- Layout 2 of the facts (0001_spans.sql): the same with scope_name at the end. Rows of layout 1 are
-- read by column until a later version of the span replaces them.
ALTER TABLE spans
    MODIFY COLUMN facts String MATERIALIZED toJSONString(tuple(
        2, trace_id, span_id, parent_span_id, version, toUnixTimestamp(received_at), retention_days,
        name, kind, status_code, error_type, start_ns, end_ns, category, operation, provider,
        request_model, response_model, response_id, finish_reasons, tool_name, agent_name,
        input_preview, output_preview, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens,
        toString(cost_usd), toString(cost_input_usd), toString(cost_output_usd), cost_status,
        ttft_ns, session_id, user_id, tags, metadata, environment, release, prompt_name,
        prompt_version, service_name, host_name, service_instance_id, dialect,
        JSONExtractString(scope, 'name')
    )) CODEC(ZSTD(1));

ALTER TABLE span_index ADD COLUMN IF NOT EXISTS counted_reason String AFTER counted;
