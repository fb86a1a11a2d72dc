"""The gateway with everything on, against a bare proxy on the same server and client, and nginx where it is installed.

    python benchmarks/gateway.py [--rounds 3] [--seconds 4]

Server under test on core 0, load generator and instant upstream on core 1; those not measured are stopped. Needs gcc
and taskset (Linux). On: key, rate limit, month budget, routing, span, cost, telemetry on disk. Medians of rounds; CPU
is that of the process tree. Exit 1 when a bound is missed: 5,000 requests/s, 250 µs CPU each, 2.5 times the bare
proxy's CPU, 60,000 streamed events/s, 1.2 ms p50 and 2.5 ms p99 added at 200 requests/s, 220 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from heading import header

HERE = Path(__file__).resolve().parent / "load"
UPSTREAM, BARE, NGINX, OURS = 9470, 9471, 9472, 9473
MESSAGES = [
    {"role": "system", "content": "You are a careful assistant for a support desk. Answer in one word. " * 4},
    {
        "role": "user",
        "content": "Document: refunds take five working days. " * 12 + "Is that so? Answer OK or NO.",
    },
]
NGINX_CONFIG = """
worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err warn; events { worker_connections 4096; }
http { access_log off; client_body_buffer_size 1m; keepalive_requests 100000000; client_body_temp_path b;
 proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
 upstream up { server 127.0.0.1:%d; keepalive 256; keepalive_requests 100000000; }
 server { listen 127.0.0.1:%d; location / { proxy_pass http://up; proxy_http_version 1.1;
  proxy_set_header Connection ""; proxy_buffering off; } } }
"""
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """One process under test, on core 0, in a group of its own."""

    def __init__(self, name: str, command: list[str], port: int, folder: Path, **environment: str) -> None:
        self.name, self.port = name, port
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *command], cwd=folder, env=kept | environment, start_new_session=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.key = ""
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
            except urllib.error.HTTPError:
                pass  # it answers
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - began > 30:
                    sys.exit(f"{name} did not start")
                time.sleep(0.01)
                continue
            break
        self.start_s = time.perf_counter() - began

    def _tree(self) -> list[int]:
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        return found

    def cpu_s(self) -> float:
        fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in self._tree()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / TICK

    def memory_mb(self) -> float:
        return (
            sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._tree()) * 4096 / 1e6
        )

    def tell(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)


def load(
    folder: Path, server: Server | int, connections: int, seconds: float, rate: int, stream: bool
) -> Any:
    port = server if isinstance(server, int) else server.port
    key = "" if isinstance(server, int) else server.key
    done = subprocess.run(
        ["taskset", "-c", "1", str(folder / "load"), str(port), "/v1/chat/completions",
         str(folder / ("stream.json" if stream else "plain.json")), str(connections), str(seconds), str(rate),
         *([f"authorization: Bearer {key}"] if key else [])],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    got = json.loads(done.stdout)
    if got["errors"]:
        sys.exit(f"{port}: {got['errors']} errors: {done.stderr[:300]}")
    return got


def measured(folder: Path, server: Server, seconds: float) -> dict[str, float]:
    direct = load(folder, UPSTREAM, 16, seconds, 200, False)
    fixed = load(folder, server, 16, seconds, 200, False)
    before = server.cpu_s()
    full = load(folder, server, 32, seconds, 0, False)
    between = server.cpu_s()
    stream = load(folder, server, 16, seconds, 0, True)
    after = server.cpu_s()
    return {
        "rps": full["rps"],
        "cpu_us": (between - before) / full["n"] * 1e6,
        "p50": fixed["p50"] - direct["p50"],
        "p99": fixed["p99"] - direct["p99"],
        "events": stream["events_s"],
        "event_us": (after - between) / (stream["events_s"] * stream["secs"]) * 1e6,
        "memory": server.memory_mb(),
    }


def servers(folder: Path) -> list[Server]:
    address = f"http://127.0.0.1:{UPSTREAM}/v1"
    granian = [sys.executable, "-m", "granian", "--interface", "rsgi", "--host", "127.0.0.1", "--loop", "uvloop",
               "--workers", "1", "--no-ws", "--log-level", "error", "--port", str(BARE), "bare_proxy:app"]  # fmt: skip
    found = [Server("bare granian + pyreqwest", granian, BARE, HERE, UP=address)]
    if shutil.which("nginx"):
        (folder / "nginx.conf").write_text(NGINX_CONFIG % (UPSTREAM, NGINX))
        nginx = ["nginx", "-c", str(folder / "nginx.conf"), "-p", f"{folder}/"]
        found.append(Server("nginx as raw proxy", nginx, NGINX, folder))
    project = folder / "project"
    (project / ".shiftright").mkdir(parents=True)
    shiftright = [sys.executable, "-m", "shiftright"]
    made = subprocess.run(
        [*shiftright, "key", "create", "load", "--per-minute", "1e9", "--month-at-most", "1e6", "--json"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = Server(
        "shiftright serve", [*shiftright, "serve", "--port", str(OURS)], OURS, project,
        OPENAI_BASE_URL=address, OPENAI_API_KEY="none",
    )  # fmt: skip
    ours.key = json.loads(made.stdout)["key"]
    return [*found, ours]


def report(rows: dict[str, list[dict[str, float]]], started: dict[str, float]) -> list[str]:
    middle = {
        name: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for name, found in rows.items()
    }
    bare = middle["bare granian + pyreqwest"]
    lines = [
        "| | CPU ÷ bare | requests/s | CPU µs each | added ms p50 / p99 at 200/s | streamed events/s "
        "| CPU µs an event | memory MB | start s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in middle.items():
        lines.append(
            f"| {name} | {row['cpu_us'] / bare['cpu_us']:.2f}× | {row['rps']:,.0f} | {row['cpu_us']:.0f} "
            f"| {row['p50']:.2f} / {row['p99']:.2f} | {row['events']:,.0f} | {row['event_us']:.1f} "
            f"| {row['memory']:.0f} | {started[name]:.2f} |"
        )
    ours = middle["shiftright serve"]
    bounds = [
        ("requests/s", ours["rps"] >= 5_000), ("CPU a request", ours["cpu_us"] <= 250),
        ("CPU ÷ bare", ours["cpu_us"] <= 2.5 * bare["cpu_us"]), ("events/s", ours["events"] >= 60_000),
        ("p50", ours["p50"] <= 1.2), ("p99", ours["p99"] <= 2.5), ("memory", ours["memory"] <= 220),
    ]  # fmt: skip
    missed = [name for name, kept in bounds if not kept]
    return [*lines, "", f"missed: {', '.join(missed)}" if missed else "every bound is kept"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tool in ("load", "upstream"):
            subprocess.run(["gcc", "-O2", "-o", folder / tool, HERE / f"{tool}.c"], check=True)
        body = {"model": "openai:gpt-5", "messages": MESSAGES, "temperature": 0.2, "max_tokens": 128}
        (folder / "plain.json").write_text(json.dumps(body))
        (folder / "stream.json").write_text(json.dumps(body | {"stream": True}))
        upstream = subprocess.Popen(
            ["taskset", "-c", "1", folder / "upstream", str(UPSTREAM), "0", "100", "0", "900"]
        )
        running: list[Server] = []
        try:
            time.sleep(0.2)
            running = servers(folder)
            rows: dict[str, list[dict[str, float]]] = {server.name: [] for server in running}
            for server in running:
                load(folder, server, 32, 2, 0, False)
                server.tell(signal.SIGSTOP)
            for _ in range(given.rounds):
                for server in running:
                    server.tell(signal.SIGCONT)
                    load(folder, server, 16, 1, 100, False)
                    rows[server.name].append(measured(folder, server, given.seconds))
                    server.tell(signal.SIGSTOP)
            lines = report(rows, {server.name: server.start_s for server in running})
        finally:
            for server in running:
                server.tell(signal.SIGCONT)
                server.tell(signal.SIGTERM)
                server.process.wait(20)
            upstream.kill()
    text = "\n".join([header("Gateway"), *lines]) + "\n"
    print(text)
    (HERE.parent / "results" / "gateway.md").write_text(text)
    sys.exit("missed" in lines[-1])


if __name__ == "__main__":
    main()
