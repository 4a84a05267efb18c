"""The logging proxy: passes calls to LLM providers through untouched and records a copy.

``app.py`` is the way in, ``relay.py`` the way of one call. What is recorded leaves the relay as frames
(``tee.py``) for a process of its own (``recorder.py``), which reads them, keeps the spans in a durable
queue and sends them on: nothing that happens there can slow down or break a call.
"""
