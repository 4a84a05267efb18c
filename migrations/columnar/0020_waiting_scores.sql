-- The answer (gen_ai.response.id) that a judgement named where it named no span. Without a span_id the judgement
-- waits for the answer's span: on the trace it named, or, without a trace too, where nobody sees it
-- (drain/waiting_scores.py). Rows written before this do not wait.
ALTER TABLE scores ADD COLUMN IF NOT EXISTS response_id String AFTER session_id;
