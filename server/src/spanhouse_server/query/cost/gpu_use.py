"""How long GPUs were seen running, and how busy they were, from the metrics that agents and exporters send.

What is paid for is in the prices of own GPUs (``self_hosted``). This is what was really there of it: GPU-hours seen,
and those of them in which nothing ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.query.operands import like_escaped
from spanhouse_server.store.contract import ColumnarStore

#: Metrics of a GPU's utilisation, with what its full load is called: OpenTelemetry, NVIDIA DCGM, Triton, OpenLIT.
FULL_LOAD = {
    "hw.gpu.utilization": 1.0,
    "DCGM_FI_DEV_GPU_UTIL": 100.0,
    "nv_gpu_utilization": 1.0,
    "gpu.utilization": 100.0,
}
#: Attributes that name the GPU, and its model, in the words of the same senders.
_IDENTITIES = ("hw.id", "UUID", "gpu_uuid", "gpu.uuid")
_MODELS = ("hw.name", "hw.model", "modelName", "gpu.name")
#: A GPU that was heard of counts for this long: exporters report at least so often.
GRAIN_S = 300
#: Less than this, all through ``GRAIN_S``, is idle.
IDLE_BELOW = 0.05


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What was seen of GPUs: how many, for how many GPU-hours together, idle for how many, the mean utilisation (0–1)."""

    gpus: int
    hours: Fraction
    idle_hours: Fraction
    utilization: float


def gpu_use(store: ColumnarStore, project_id: str, from_ns: int, to_ns: int, gpu_type: str = "") -> GpuUse | None:
    """Return what was seen of a project's GPUs in a range, nothing when none were heard of.

    ``gpu_type`` picks those whose model's name contains it, in any case; empty: all.
    """
    identity = _first_of(_IDENTITIES, "toString(series_id)")
    share = f"value / multiIf({', '.join(f'name = {_quoted(name)}, {full}' for name, full in FULL_LOAD.items())}, 1.)"
    row = store.select(
        "SELECT uniqExact(gpu) AS gpu_n, count() AS seen_n, countIf(most < {idle:Float64}) AS idle_n,"
        " avg(mean) AS utilization FROM"
        f" (SELECT {identity} AS gpu, intDiv(time_ns, {GRAIN_S * NS_PER_S}) AS grain, max({share}) AS most,"
        f" avg({share}) AS mean FROM metric_points FINAL"
        " WHERE project_id = {project:String} AND name IN {names:Array(String)}"
        " AND time_ns >= {from_ns:Int64} AND time_ns < {to_ns:Int64} AND isNotNull(value)"
        " AND attributes['hw.gpu.task'] IN ('', 'general')"
        f" AND ({{like:String}} = '%%' OR {_first_of(_MODELS, _quoted(''))} ILIKE {{like:String}})"
        " GROUP BY gpu, grain)",
        {
            "project": project_id,
            "names": list(FULL_LOAD),
            "from_ns": from_ns,
            "to_ns": to_ns,
            "idle": IDLE_BELOW,
            "like": f"%{like_escaped(gpu_type)}%",
        },
    )[0]
    if not row["seen_n"]:
        return None
    # Grains at the ends of the range lie in it in part only.
    most = row["gpu_n"] * Fraction(to_ns - from_ns, 3600 * NS_PER_S)
    hours = min(Fraction(row["seen_n"] * GRAIN_S, 3600), most)
    idle_hours = min(Fraction(row["idle_n"] * GRAIN_S, 3600), hours)
    return GpuUse(row["gpu_n"], hours, idle_hours, float(row["utilization"]))


def _first_of(names: tuple[str, ...], otherwise: str) -> str:
    cases = ", ".join(f"attributes[{_quoted(name)}] != '', attributes[{_quoted(name)}]" for name in names)
    return f"multiIf({cases}, {otherwise})"


def _quoted(constant: str) -> str:
    """Return one of the names above as SQL; nothing that anybody sends comes here."""
    return f"'{constant}'"
