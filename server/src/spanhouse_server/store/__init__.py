"""Where telemetry (columnar) and configuration (records) are kept."""
