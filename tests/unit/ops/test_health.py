from spanhouse_server.ops.health import Health


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_announced_subsystem_is_awaited() -> None:
    health = Health()
    assert health.snapshot().ready
    health.expect("spool")
    report = health.snapshot()
    assert (report.alive, report.ready, report.degraded) == (True, False, True)
    assert report.subsystems["spool"].detail == "starting"
    health.report("spool", True)
    assert health.snapshot().ready


def test_what_is_not_required_only_degrades() -> None:
    health = Health()
    health.expect("columnar", required=False)
    health.report("columnar", False, "connection refused")
    report = health.snapshot()
    assert (report.ready, report.degraded) == (True, True)
    assert report.subsystems["columnar"].detail == "connection refused"


def test_stale_vital_heartbeat_means_not_alive() -> None:
    clock = Clock()
    health = Health(clock)
    health.expect("drain", stale_after_s=30, required=False, vital=True)
    clock.now_s += 1000
    assert health.snapshot().alive, "never started is not the same as stuck"
    health.report("drain", True)
    clock.now_s += 29
    health.beat("drain")
    clock.now_s += 29
    assert health.snapshot().alive
    clock.now_s += 2
    report = health.snapshot()
    assert (report.alive, report.ready, report.degraded) == (False, True, True)
    assert report.subsystems["drain"].detail == "silent for 31 s"
    health.beat("drain")
    assert health.snapshot().alive


def test_beat_keeps_a_bad_state() -> None:
    health = Health()
    health.report("store", False, "disk full")
    health.beat("store")
    assert not health.snapshot().ready
