-- For the embedded engine alone: how a part is compressed goes by its size (store/columnar/embedded.xml). Fresh and
-- small parts are soon merged into others, and ZSTD took a third of what an insert and the first merges cost; a large
-- part is written once and kept.
ALTER TABLE spans
    MODIFY COLUMN parameters REMOVE CODEC,
    MODIFY COLUMN system_instructions REMOVE CODEC,
    MODIFY COLUMN input_messages REMOVE CODEC,
    MODIFY COLUMN output_messages REMOVE CODEC,
    MODIFY COLUMN tool_definitions REMOVE CODEC,
    MODIFY COLUMN documents REMOVE CODEC,
    MODIFY COLUMN tool_arguments REMOVE CODEC,
    MODIFY COLUMN tool_result REMOVE CODEC,
    MODIFY COLUMN input_preview REMOVE CODEC,
    MODIFY COLUMN output_preview REMOVE CODEC,
    MODIFY COLUMN search_text REMOVE CODEC,
    MODIFY COLUMN attributes REMOVE CODEC,
    MODIFY COLUMN resource REMOVE CODEC,
    MODIFY COLUMN scope REMOVE CODEC,
    MODIFY COLUMN events REMOVE CODEC,
    MODIFY COLUMN links REMOVE CODEC,
    MODIFY COLUMN facts REMOVE CODEC;
