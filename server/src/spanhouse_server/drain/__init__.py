"""The steps between spool and store; ``pipeline.py`` puts them in order."""
