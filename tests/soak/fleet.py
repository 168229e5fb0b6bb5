"""The worker processes: as many as wanted of each role, a dead one replaced at once, as
a supervisor would.

Workers are started as a module (tests/soak/program.py: the shipped program, whose model
refuses a certain word), so that PYTHONPATH can name another tree.

Hazards:
- An exit is explained when it is the answer to our own signal, or 70 ("restart me"), or
  one that a fault excuses (78 while row-level security hides rows). All others are kept
  as unexplained and fail the campaign.
- A killed worker takes its metrics along: its count of encoded texts is read before the
  signal, and is therefore a little too low.
"""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from connectors.local.machine.free_ports import is_free
from tests.support.root import ROOT

EXIT_RESTART = 70
EXIT_CONFIGURATION = 78
_STOP_SECONDS = 30.0
"""What a supervisor grants between SIGTERM and SIGKILL."""

_RESTART_SECONDS = 1.0
_EXCUSED_SECONDS = 30.0
_ENCODED = re.compile(r"^vectrue_texts_encoded_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)
_SENT = {signal.SIGKILL: (-9,), signal.SIGTERM: (0, -15), signal.SIGSTOP: ()}


@dataclass
class Worker:
    """One worker process; `told` is the signal we sent to end it, `encoded` the texts
    it said it encoded.
    """

    name: str
    role: str
    process: "subprocess.Popen[bytes]"
    port: int
    told: signal.Signals | None = None
    told_at: float = 0.0
    is_stopped: bool = False
    encoded: float = 0.0


class Fleet:
    """Workers of both roles."""

    def __init__(self, config: Path, directory: Path) -> None:
        """Nothing is started yet.

        Args:
            config: vectrue.toml that every worker gets.
            directory: working directory; the logs go there.
        """
        self.wanted = {"live": 2, "replay": 1}
        self.exits: Counter[str] = Counter()
        self.unexplained: list[str] = []
        self.restarts: list[str] = []
        self.slow_stops: list[str] = []
        self._config = config
        self._directory = directory
        # below those that stacks and proxies choose from
        self._ports = itertools.count(10_500 + os.getpid() % 3_500)
        self._numbers = itertools.count(1)
        self._workers: list[Worker] = []
        self._past_encoded = 0.0
        self._not_before: dict[str, float] = {}
        self._excused: dict[int, float] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tend, daemon=True, name="fleet")

    def start(self) -> None:
        """Start the workers and the thread that replaces them."""
        self._thread.start()

    def stop(self) -> None:
        """Kill all workers; nothing is replaced any more."""
        self._ended.set()
        self._thread.join(60)
        for worker in self._workers:
            worker.process.kill()
            worker.process.wait()

    def running(self, role: str) -> list[Worker]:
        """Workers of a role that run and were not told to end."""
        with self._lock:
            return [
                w
                for w in self._workers
                if w.role == role and w.told is None and w.process.poll() is None
            ]

    def pick(self, role: str, random: Random) -> Worker | None:
        """A worker of a role that is not stopped; None when there is none."""
        candidates = [worker for worker in self.running(role) if not worker.is_stopped]
        return random.choice(candidates) if candidates else None

    def send(self, worker: Worker, sig: signal.Signals) -> None:
        """Send SIGKILL, SIGTERM, SIGSTOP or SIGCONT."""
        with self._lock:
            if worker.process.poll() is not None:
                return
            self._scrape(worker)
            worker.is_stopped = sig is signal.SIGSTOP
            if sig in (signal.SIGKILL, signal.SIGTERM):
                worker.told, worker.told_at = sig, time.monotonic()
            worker.process.send_signal(sig)

    def excuse(self, code: int) -> None:
        """From now on a worker may exit with this code, and is started again, as an
        operator would.
        """
        with self._lock:
            self._excused[code] = float("inf")

    def excuse_no_more(self, code: int) -> None:
        """Its cause is gone; what began before may still end so for a while."""
        with self._lock:
            self._excused[code] = time.monotonic() + _EXCUSED_SECONDS

    def encoded(self) -> int:
        """Texts that all workers, past and present, said they encoded."""
        with self._lock:
            for worker in self._workers:
                self._scrape(worker)
            return round(self._past_encoded + sum(worker.encoded for worker in self._workers))

    def launch(self, log: str, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start the command line in the background; its output goes to `<log>.log`."""
        command = [
            sys.executable,
            "-m",
            "tests.soak.program",
            "--config",
            str(self._config),
            *arguments,
        ]
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        own = {"NO_COLOR": "1", "VECTRUE_LOG__FORMAT": "console", "PYTHONPATH": path}
        environment = {**os.environ, **own, **variables}
        with (self._directory / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                command, cwd=self._directory, env=environment, stdout=output, stderr=output
            )

    def _tend(self) -> None:
        while not self._ended.wait(0.2):
            with self._lock:
                for worker in list(self._workers):
                    self._reap(worker)
                for role, wanted in self.wanted.items():
                    if len(
                        self.running(role)
                    ) < wanted and time.monotonic() >= self._not_before.get(role, 0.0):
                        self._workers.append(self._new(role))

    def _reap(self, worker: Worker) -> None:
        code = worker.process.poll()
        if code is None:
            if worker.told is signal.SIGTERM and time.monotonic() - worker.told_at > _STOP_SECONDS:
                self.slow_stops.append(f"{worker.name}: {self._last_words(worker)}")
                self.send(worker, signal.SIGKILL)
            return
        self._workers.remove(worker)
        self._past_encoded += worker.encoded
        self.exits[str(code)] += 1
        if code == EXIT_RESTART or time.monotonic() < self._excused.get(code, 0.0):
            self._not_before[worker.role] = time.monotonic() + _RESTART_SECONDS
            self.restarts.append(f"{worker.name}: {self._last_words(worker)}")
        elif worker.told is None or code not in _SENT[worker.told]:
            self.unexplained.append(f"{worker.name} exited {code}: {self._last_words(worker)}")

    def _new(self, role: str) -> Worker:
        name = f"{role}-{next(self._numbers)}"
        port = next(port for port in self._ports if is_free(port))
        variables = {f"VECTRUE_METRICS__{role.upper()}_PORT": str(port)}
        return Worker(name, role, self.launch(name, "worker", "--role", role, **variables), port)

    def _scrape(self, worker: Worker) -> None:
        if worker.is_stopped:
            return
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{worker.port}/metrics", timeout=2
            ) as answer:
                worker.encoded = sum(
                    float(value) for value in _ENCODED.findall(answer.read().decode())
                )
        except OSError:
            return  # not ready yet, or just gone: the last value stays

    def _last_words(self, worker: Worker) -> str:
        lines = (
            (self._directory / f"{worker.name}.log")
            .read_text(encoding="utf-8", errors="replace")
            .splitlines()
        )
        leaving = [line for line in lines if "worker exits" in line or "error:" in line]
        return (leaving or lines or ["no line in its log"])[-1][:500]
