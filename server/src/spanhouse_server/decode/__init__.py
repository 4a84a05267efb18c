"""OTLP messages to plain spans, logs and metric points."""
