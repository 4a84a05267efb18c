"""What leaves the house: Prometheus metrics, OTLP re-export, scaling signals."""
