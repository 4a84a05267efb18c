"""Appends as fast as it can until it is killed, reporting every acknowledged sequence.

Also drains a little, so that kills hit acknowledgements too. Run by ``test_kill``.
"""

import asyncio
import os
import random
import sys
import threading
from hashlib import sha256
from pathlib import Path

from spanhouse_server.spool import SqliteSpool


def say(*words: object) -> None:
    """Write one line at once: a killed process flushes nothing."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def produce(spool: SqliteSpool, name: int) -> None:
    number = 0
    while True:
        body = b"%d/%d " % (name, number) * random.randint(1, 5000)
        sequence = await spool.append("default", "traces", body, records=1)
        say("kept", sequence, sha256(body).hexdigest())
        number += 1


def drain(spool: SqliteSpool) -> None:
    while spool.wait(10):
        some = [entry.sequence for entry in spool.claim(5, 100_000) if random.random() < 0.3]
        say("acking", *some)
        spool.ack(some, stored_spans=len(some))
        say("acked", *some)


async def main() -> None:
    spool = SqliteSpool(Path(sys.argv[1]), max_bytes=2**30, max_age_s=600, min_free_bytes=0, fsync=sys.argv[2])
    threading.Thread(target=drain, args=(spool,), daemon=True).start()
    await asyncio.gather(*(produce(spool, name) for name in range(8)))


asyncio.run(main())
