-- A row is written anew less often on its way into large parts: a merge costs more per row than its insert did.
ALTER TABLE spans MODIFY SETTING merge_selector_base = 20;
