"""The handlers, one file per subject. They are plain ``def``: store calls block, threads carry them."""
