"""Many rows through the whole path: what it takes in time, memory, Kafka and WAL, and
what it leaves in the table.

Enumeration is timed alone (no worker runs yet), then the workers do the rest. Memory is
the peak of each process (VmHWM); sampled at two points of the run, so that growth would
show.
"""

import time
from collections.abc import Callable
from pathlib import Path

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from tests.support.waiting import until
from tests.support.workplace import Workplace

Say = Callable[[str], None]


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process so far, in MB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0.0)


def run(place: Workplace, rows: int, say: Say) -> None:
    """Fill, enumerate, replay, repeat; every figure on a line of its own."""
    place.execute(
        (
            "INSERT INTO questions (question) SELECT 'question number ' || i FROM "
            "generate_series(1, %s) i"
        ),
        (rows,),
    )
    place.execute("VACUUM ANALYZE questions")
    place.vectrue("init")
    planned = place.vectrue("replay", "plan", "--exact", timeout=600)
    say(planned.stderr.rstrip())
    before = _table(place)
    _enumerate(place, rows, say)
    lsn = place.value("SELECT pg_current_wal_lsn()")
    started = time.monotonic()
    worker = place.start_worker("replay")
    until(lambda: _done(place) >= rows // 4, timeout=7200, what="a quarter")
    quarter = peak_mb(worker.pid)
    command = place.start("replay", "run", "--yes", log="run")
    until(lambda: _done(place) >= rows, timeout=7200, what="all chunks")
    seconds = time.monotonic() - started
    command.wait(600)
    wal = float(place.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", (lsn,)))
    say(f"embedded and written: {rows:,} rows in {seconds:.0f} s = {rows / seconds:,.0f} rows/s")
    say(
        f"worker's peak memory: {quarter:.0f} MB at a quarter, {peak_mb(worker.pid):.0f} MB at "
        "the end"
    )
    say(f"WAL: {wal / 1e6:,.0f} MB = {wal / rows:,.0f} bytes per row")
    sums = (
        "SELECT sum(total_keys), sum(done_keys), sum(embedded), sum(busy_seconds)::integer FROM "
        "vectrue.replay_chunks"
    )
    say(
        f"ledger: total, done, embedded, seconds of work = {place.execute(sums)[0]}; status: "
        f"{place.coverage()}"
    )
    after = _table(place)
    say(
        f"table with TOAST and indexes: {before / 1e6:,.0f} MB before, {after / 1e6:,.0f} MB "
        "after, dead versions in it"
    )
    say("the run's last lines:\n" + "\n".join(place.log("run").splitlines()[-4:]))
    _again(place, rows, say)


def _enumerate(place: Workplace, rows: int, say: Say) -> None:
    started = time.monotonic()
    command = place.start("replay", "run", "--yes", "--detach", log="enumerate")
    peaks: list[tuple[float, float]] = []

    def ended() -> bool:
        sent = float(place.value("SELECT coalesce(sum(total_keys), 0) FROM vectrue.replay_chunks"))
        peaks.append((sent, peak_mb(command.pid)))
        return command.poll() is not None

    until(ended, timeout=1800, what="the enumeration")
    seconds = time.monotonic() - started
    times = place.execute(
        "SELECT extract(epoch FROM max(sent_at) - min(created_at))"
        " FROM vectrue.replay_chunks JOIN vectrue.replays USING (run)"
    )
    alone = float(times[0][0])
    half = max((mb for sent, mb in peaks if sent <= rows / 2), default=0.0)
    rate = rows / alone
    say(
        f"enumerated and sent: {rows:,} keys in {alone:.1f} s = {rate:,.0f} keys/s "
        f"({seconds:.1f} s with its plan)"
    )
    say(
        f"enumerator's peak memory: {half:.0f} MB at half, {max(mb for _, mb in peaks):.0f} MB "
        "at the end"
    )
    topic = place.settings.replay_topic
    group = KafkaOffsets(place.settings, SystemClock()).read({"none": [topic]})["none"]
    messages = sum((p.log_end_offset or 0) - (p.log_start_offset or 0) for p in group.partitions)
    size = place.value("SELECT sum(octet_length(keys::text)) FROM vectrue.replay_chunks")
    say(
        f"replay topic: {messages:,} messages of about {int(size) / max(1, messages):,.0f} "
        "bytes of keys"
    )


def _again(place: Workplace, rows: int, say: Say) -> None:
    chunks = place.value("SELECT count(*) FROM vectrue.replay_chunks")
    started = time.monotonic()
    done = place.vectrue("replay", "run", "--yes", timeout=1800)
    say(
        f"--only stale over current rows: {time.monotonic() - started:.1f} s: {done.stdout.strip()}"
    )
    assert chunks == place.value("SELECT count(*) FROM vectrue.replay_chunks")
    started = time.monotonic()
    place.vectrue("replay", "run", "--only", "all", "--yes", timeout=3600)
    seconds = time.monotonic() - started
    say(
        f"--only all over current rows: {seconds:.1f} s = {rows / seconds:,.0f} rows/s, nothing "
        "encoded"
    )


def _done(place: Workplace) -> int:
    return int(place.value("SELECT coalesce(sum(done_keys), 0) FROM vectrue.replay_chunks"))


def _table(place: Workplace) -> int:
    return int(place.value("SELECT pg_total_relation_size('questions')"))
