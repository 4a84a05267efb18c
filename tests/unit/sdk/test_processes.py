"""Real processes: what is recorded survives their ends, and their ends are not held up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from spanhouse import _runtime
from tests.unit.sdk.test_sending import free_port


def start(code: str, url: str) -> subprocess.Popen:
    script = f"import spanhouse\nspanhouse.init({url!r}, service_name='child', instrument=False)\n" + code
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


STEP = """
@spanhouse.task
def step(value):
    return value
"""


#: The end of a program waits less than it would, so that the tests need not.
BRIEF = "from spanhouse import _runtime\n_runtime.EXIT_TIMEOUT_S = 1\n"


def test_everything_is_sent_at_a_normal_exit(server):
    process = start(STEP + "for number in range(700): step(number)", server.url)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(server.spans) == 700


def test_everything_is_sent_when_the_program_dies_of_an_exception(server):
    process = start(STEP + "step(1)\nraise SystemExit(3)", server.url)
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert len(server.spans) == 1


def test_the_exit_waits_a_bounded_time_for_a_server_that_is_down():
    assert _runtime.EXIT_TIMEOUT_S <= 5
    process = start(BRIEF + STEP + "for number in range(100): step(number)", f"http://127.0.0.1:{free_port()}")
    _, err = process.communicate(timeout=60)  # it would try for a quarter of an hour
    assert process.returncode == 0
    assert "100 spans" in err
    assert "Traceback" not in err


def test_the_exit_does_not_wait_for_a_server_that_hangs(server):
    server.hold.clear()
    process = start(BRIEF + STEP + "step(1)\nimport time\ntime.sleep(1.2)\nstep(2)", server.url)
    _, err = process.communicate(timeout=60)  # the server would hold it for minutes
    assert process.returncode == 0
    assert server.spans == []
    assert "could not be sent before the exit" in err
    assert "Traceback" not in err


def test_sigterm_keeps_its_default_and_loses_at_most_the_last_second(server):
    process = start(STEP + "step(1)\nprint('ready', flush=True)\nimport time\ntime.sleep(300)", server.url)
    assert process.stdout.readline() == "ready\n"
    server.wait(lambda: len(server.spans) == 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_multiprocessing_children_send_before_they_end(server):
    code = (
        STEP
        + """
import multiprocessing
context = multiprocessing.get_context("fork")
step("parent")
children = [context.Process(target=step, args=(f"child {n}",)) for n in range(3)]
for child in children: child.start()
for child in children: child.join()
print([child.exitcode for child in children])
"""
    )
    process = start(code, server.url)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("[0, 0, 0]\n", "")
    values = sorted(span.json("spanhouse.input")["value"] for span in server.spans)
    assert values == ["child 0", "child 1", "child 2", "parent"]


def test_workers_forked_in_c_as_of_uwsgi(server):
    """Python's own hooks around a fork are not run, and the sender's thread exists in the parent only."""
    code = (
        STEP
        + """
import ctypes, os
step("parent")
assert spanhouse.flush()
pid = ctypes.PyDLL(None).fork()
if not pid:
    step("child")
    os._exit(0 if spanhouse.flush() else 1)
print(os.waitpid(pid, 0)[1])
"""
    )
    process = start(code, server.url)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "0\n", "")
    assert sorted(span.json("spanhouse.input")["value"] for span in server.spans) == ["child", "parent"]


def test_pre_forked_workers_as_of_gunicorn(server):
    code = (
        STEP
        + """
import os, sys
workers = []
for number in range(2):
    pid = os.fork()
    if pid == 0:
        for job in range(50): step(f"{number}.{job}")
        sys.exit(0)
    workers.append(pid)
print([os.waitpid(pid, 0)[1] for pid in workers])
"""
    )
    process = start(code, server.url)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("[0, 0]\n", "")
    assert len({span.json("spanhouse.input")["value"] for span in server.spans}) == 100
    assert len(server.spans) == 100


def test_the_service_is_named_after_the_program(server, tmp_path):
    script = tmp_path / "my_agent.py"
    script.write_text(
        f"import spanhouse\nspanhouse.init({server.url!r}, instrument=False)\nwith spanhouse.span('x'): pass\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, str(script)], check=True, timeout=30, env=environment)
    assert server.spans[0].resource["service.name"] == "my_agent"


def test_a_host_with_its_own_provider_keeps_it(server):
    code = f"""
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider(resource=Resource({{"service.name": "host", "team": "blue"}}))
trace.set_tracer_provider(provider)
import spanhouse
spanhouse.init({server.url!r}, environment="prod", instrument=False)
assert trace.get_tracer_provider() is provider
@spanhouse.tool
def tool(a): return a
with provider.get_tracer("host").start_as_current_span("request"):
    tool(1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    request, tool = server.span("request"), server.span("execute_tool tool")
    assert tool.parent_id == request.span_id
    assert tool.json("gen_ai.tool.call.result") == 1
    for span in (request, tool):
        assert span.resource["service.name"] == "host"
        assert span.resource["team"] == "blue"
        assert span.resource["deployment.environment.name"] == "prod"


def test_a_host_sampler_stays_in_charge(server):
    code = f"""
import os
os.environ["OTEL_TRACES_SAMPLER"] = "always_off"
import spanhouse
spanhouse.init({server.url!r}, instrument=False)
@spanhouse.tool
def tool(a): return a
tool(1)
list(spanhouse.task(lambda: (yield 1))())
spanhouse.shutdown()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.requests == []


def test_exporters_of_the_host_see_what_the_mask_hides_from_us(server):
    code = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import spanhouse
spanhouse.init({server.url!r}, mask=lambda key, value: "****", instrument=False)
memory = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
with spanhouse.span("x", input="plain"):
    pass
print(memory.get_finished_spans()[0].attributes["spanhouse.input"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("plain\n", "")
    assert server.span("x").attributes["spanhouse.input"] == "****"
