"""Questions to the store: filter language, traces, sessions, metrics."""
