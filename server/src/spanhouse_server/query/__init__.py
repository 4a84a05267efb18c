"""Reads: the filter language, plans, traces, spans, sessions, users, figures."""
