"""Our own health, metrics and logs."""
