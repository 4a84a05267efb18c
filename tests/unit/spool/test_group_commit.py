"""Many requests share one commit, from several event loops, in any mix with the other calls."""

import asyncio
import threading
from collections.abc import Callable

from spanhouse_server.spool import SqliteSpool
from tests.unit.spool.conftest import append, claim_all

Open = Callable[..., SqliteSpool]


def test_requests_that_come_together_share_commits(spool: SqliteSpool) -> None:
    before = spool.commits
    append(spool, *[b"x" * 1000] * 400)
    assert 1 <= spool.commits - before <= 40


def test_requests_that_come_one_by_one_do_not_wait_for_company(spool: SqliteSpool) -> None:
    async def one_by_one() -> None:
        for _ in range(20):
            await spool.append("default", "traces", b"x", records=1)

    before = spool.commits
    asyncio.run(one_by_one())
    assert spool.commits - before == 20


def test_a_caller_that_gives_up_harms_nobody(spool: SqliteSpool) -> None:
    async def give_up() -> list[int]:
        tasks = [asyncio.create_task(spool.append("p", "traces", b"%d" % n, records=1)) for n in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        return await asyncio.gather(*tasks[1::2])

    sequences = asyncio.run(give_up())
    assert len(sequences) == 5
    assert set(sequences) <= set(claim_all(spool))


def test_a_closed_event_loop_harms_nobody(spool: SqliteSpool) -> None:
    async def abandon() -> None:
        task = asyncio.create_task(spool.append("p", "traces", b"x" * 1_000_000, records=1))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(abandon())
    assert append(spool, b"y") == [2]


def test_appending_draining_and_reading_at_once(open_spool: Open) -> None:
    """Four event loops append while one thread drains, sets aside, replays and reads."""
    spool = open_spool(fsync="off")
    appended: dict[int, bytes] = {}
    failures: list[BaseException] = []
    per_loop, poison = 150, 7

    def produce(name: int) -> None:
        async def run() -> None:
            for n in range(per_loop // 5):
                bodies = [b"%d-%d-%d" % (name, n, k) * 50 for k in range(5)]
                made = await asyncio.gather(*(spool.append("p", "traces", body, records=1) for body in bodies))
                appended.update(zip(made, bodies, strict=True))

        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)

    drained: dict[int, bytes] = {}
    producers = [threading.Thread(target=produce, args=(name,)) for name in range(4)]
    for thread in producers:
        thread.start()
    set_aside = 0
    while any(thread.is_alive() for thread in producers) or spool.stats().requests:
        if not spool.wait(0.05):
            continue
        entries = spool.claim(16, 100_000)
        for entry in entries:
            if entry.sequence % poison == 0:
                spool.set_aside(entry, "poison")
                set_aside += 1
        good = {entry.sequence: entry.body for entry in entries if entry.sequence % poison}
        assert not drained.keys() & good.keys()
        drained.update(good)
        spool.ack(list(good), stored_spans=len(good))
        spool.list_set_aside()
        spool.stats()
    for thread in producers:
        thread.join()
    assert not failures
    assert len(appended) == 4 * per_loop
    assert drained == {sequence: body for sequence, body in appended.items() if sequence % poison}
    assert spool.replay() == set_aside == spool.stats().requests
    assert sorted(claim_all(spool).values()) == sorted(b for s, b in appended.items() if s % poison == 0)
    stats = spool.stats()
    assert (stats.received_spans, stats.stored_spans) == (4 * per_loop, len(drained))
