"""How pools stand, and taking members out of service, over HTTP: for the operator, below ``/-/pools``.

    GET  /-/pools                              {"pools": {name: [{"url", "state", "in_flight", ...}]}}
    POST /-/pools/{name}/drain?member={url}    no new calls for it; those under way go on
    POST /-/pools/{name}/undrain?member={url}  it takes calls again

The answer is the state after it. What was drained here stays so until it is undrained or the proxy starts anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from urllib.parse import parse_qs

from spanhouse_collector.errors import Refused
from spanhouse_collector.policy.upstream_pool import UpstreamPool
from spanhouse_collector.proxy.hook import Answer

#: Raises ``Unauthenticated`` for headers of ours that carry no operator's key.
Authorise = Callable[[Mapping[str, str]], None]


class NoSuchPage(Refused):
    """There is no such page, pool or member."""

    code = "not_found"
    http_status = 404


class PoolPages:
    """The pages over the pools of an engine."""

    def __init__(self, pools: Mapping[str, UpstreamPool], authorise: Authorise) -> None:
        self._pools = pools
        self._authorise = authorise

    def answer(self, method: bytes, path: str, query: str, own: Mapping[str, str]) -> Answer:
        """Return the answer to a request for a page; raise ``Refused``."""
        self._authorise(own)
        words = path.strip("/").split("/")
        if method == b"POST" and len(words) == 4 and words[:2] == ["-", "pools"] and words[3] in ("drain", "undrain"):
            self._turn(words[2], (parse_qs(query).get("member") or [""])[0], drain=words[3] == "drain")
        elif method != b"GET" or words != ["-", "pools"]:
            raise NoSuchPage("there is no such page", "GET /-/pools, POST /-/pools/{name}/drain?member={url}")
        text = json.dumps(
            {"pools": {name: [asdict(state) for state in pool.pool.states()] for name, pool in self._pools.items()}}
        )
        body = text.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return Answer(200, headers, (body,))

    def _turn(self, name: str, url: str, *, drain: bool) -> None:
        pool = self._pools.get(name)
        known = [state.url for state in pool.pool.states()] if pool is not None else []
        if pool is None or url not in known:
            raise NoSuchPage(
                f"no pool {name[:64]!r} with a member {url[:200]!r}",
                f"its members are {', '.join(known)}" if known else f"the pools are {', '.join(self._pools) or 'none'}",
            )
        if not pool.turn(url, drain=drain):
            raise Refused(f"{url} is leaving the pool: the policy file names it no more", "name it there again")
