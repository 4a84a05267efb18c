"""The nouns every room shares: raw records as received, canonical spans, whole traces."""
