"""A sample application whose traffic fills a new Spanhouse: the support desk of an online shop.

It uses the ``spanhouse`` SDK as any application would. Its models answer from a script, so it needs
no key and no network but the one to the server; its clock is its own, so that hours of traffic with
real latencies take a second to send.
"""

from spanhouse_server.demo.run import Summary, run

__all__ = ["Summary", "run"]
