"""Background workers over stored spans."""
