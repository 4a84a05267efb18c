"""Service levels: how much of an error budget is left, and how fast it burns."""
