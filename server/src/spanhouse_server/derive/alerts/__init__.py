"""The alert engine: rules are evaluated, alerts live and end, notifications go out."""
