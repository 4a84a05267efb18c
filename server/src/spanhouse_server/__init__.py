"""Spanhouse server: receive, keep, derive and show the traces of LLM applications."""

__version__ = "0.1.0"
