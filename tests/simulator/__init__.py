"""A replay simulator: weeks of LLM traffic with labelled incidents, run through the real alert rules."""
