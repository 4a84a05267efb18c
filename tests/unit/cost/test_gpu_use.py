"""GPU-hours that were seen, from the metric points that agents and exporters send."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from spanhouse_server.query.cost.gpu_use import gpu_use
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, point

HOUR_NS = 3600 * NS


def utilization(minutes: range, value: float, name: str = "hw.gpu.utilization", **attributes: Any) -> list[Any]:
    named = {key.replace("__", "."): text for key, text in attributes.items()}
    return [point(name, minute * 60, value=value, attributes=named) for minute in minutes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    h200 = {"hw__name": "NVIDIA H200", "hw__gpu__task": "general"}
    with columnar(tmp_path_factory.mktemp("gpus")) as opened:
        keeper = Keeper(opened)
        points = [
            # An hour of work, and one in which only its last five minutes did not rest.
            *utilization(range(60), 0.8, hw__id="GPU-1", **h200),
            *utilization(range(60, 115), 0.0, hw__id="GPU-1", **h200),
            *utilization(range(115, 120), 0.1, hw__id="GPU-1", **h200),
            # The encoder of a GPU is not another one.
            *utilization(range(60), 0.9, hw__id="GPU-1", hw__name="NVIDIA H200", hw__gpu__task="encoder"),
            # Half an hour, told by two exporters, one of them in per cent.
            *utilization(range(30), 0.5, hw__id="GPU-2", **h200),
            *utilization(range(30), 50.0, "DCGM_FI_DEV_GPU_UTIL", UUID="GPU-2", modelName="NVIDIA H200"),
            *utilization(range(0, 60, 5), 100.0, "DCGM_FI_DEV_GPU_UTIL", UUID="GPU-3", modelName="NVIDIA A100 100%"),
            *utilization(range(60), 0.5, "hw.gpu.memory.utilization", hw__id="GPU-4", **h200),
        ]
        keeper.points(points)
        keeper.points(points[:100])
        keeper.points(utilization(range(60), 0.5, hw__id="GPU-9", **h200), project="other")
        yield opened


def test_hours_and_idle_hours(store: ColumnarStore) -> None:
    use = gpu_use(store, "default", T0, T0 + 2 * HOUR_NS, "h200")
    assert use is not None
    assert (use.gpus, use.hours, use.idle_hours) == (2, Fraction(5, 2), Fraction(11, 12))
    assert use.utilization == pytest.approx((12 * 0.8 + 0.1 + 6 * 0.5) / 30)


def test_gpus_are_picked_by_their_model(store: ColumnarStore) -> None:
    everything = gpu_use(store, "default", T0, T0 + 2 * HOUR_NS)
    assert everything is not None
    assert (everything.gpus, everything.hours) == (3, Fraction(7, 2))
    a100 = gpu_use(store, "default", T0, T0 + HOUR_NS, "A100 100%")
    assert a100 is not None
    assert (a100.gpus, a100.hours, a100.utilization) == (1, 1, 1.0)
    assert gpu_use(store, "default", T0, T0 + HOUR_NS, "a_00") is None
    assert gpu_use(store, "default", T0, T0 + HOUR_NS, "' OR 1 --") is None


def test_no_more_than_the_range_and_nothing_of_others(store: ColumnarStore) -> None:
    short = gpu_use(store, "default", T0 + 60 * NS, T0 + 120 * NS, "H200")
    assert short is not None
    assert short.hours == Fraction(2, 60)
    assert gpu_use(store, "default", T0 - HOUR_NS, T0) is None
    theirs = gpu_use(store, "other", T0, T0 + HOUR_NS)
    assert theirs is not None
    assert (theirs.gpus, theirs.hours) == (1, 1)
    assert gpu_use(store, "nobody", T0, T0 + HOUR_NS) is None
