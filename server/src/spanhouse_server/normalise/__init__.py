"""Any instrumentation's dialect to the canonical span, and the rules of whole traces."""
