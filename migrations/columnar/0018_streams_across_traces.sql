-- What ties a streamed call to a record of its end that stands in another trace and has no response id
-- (normalise/settle_streams.py). Empty for all other spans; rows written before this lack it until their trace
-- settles again.
ALTER TABLE span_index
    ADD COLUMN IF NOT EXISTS stream_key String AFTER lone_call;
