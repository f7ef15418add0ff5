"""What is measured: one function for each row of the table, or for rows that are measured together."""

import http.client
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from . import telling
from .interface import interface
from .programs import (
    AUTH, ROOT, Alertmanager, Bare, Crammed, NoIndex, Sweeping, Watchfire, alertmanager_path, copied, filled, free_port, fresh,
    load, load_arguments, measured_load, pairs, run_tool,
)

MILLION = {"alerts": 1_000_000, "big": 300_000, "open_incidents": 50, "open_alerts": 500}
SMALL = {"alerts": 1_000, "open_incidents": 50, "open_alerts": 500}
# While the host gives the processors to others, each program loses another part of its rate.
MOST_KEPT = 0.02


class Bench:
    """How long and how often, and where figures are kept."""

    def __init__(self, book, log, rounds, seconds, warm, quick):
        self.book, self.log = book, log
        self.rounds, self.seconds, self.warm, self.quick = rounds, seconds, warm, quick
        self.best_bare = {}
        self.repeats = 3 * rounds
        self.alertmanager = alertmanager_path() is not None

    def load(self, program, connections, **more):
        return measured_load(program, connections=connections, seconds=self.seconds, warm=self.warm, **more)

    def bare(self, connections):
        """Rate of the yardstick; none when the machine was busy with something else."""
        with Bare() as bare:
            figures = self.load(bare, connections)
        best = self.best_bare[connections] = max(self.best_bare.get(connections, 0), figures["accepted_per_s"])
        return figures if figures["accepted_per_s"] >= best / 2 else None

    def undisturbed(self, name, measure):
        """What `measure` returns, of a time in which a host of virtual machines kept hardly any processor time to itself; it
        is measured again otherwise, a few times in all."""
        while True:
            kept_before, all_before = host_time()
            measured = measure()
            kept, all_of_it = host_time()
            share = (kept - kept_before) / max(all_of_it - all_before, 1)
            if share <= MOST_KEPT or self.repeats == 0:
                self.book.figure(f"% of the processors' time that the host kept, {name}", 100 * share)
                return measured
            self.repeats -= 1
            self.log(f"{name}: the host kept {share:.1%} of the processors' time; measured again")

    def each_round(self, name, one):
        """Runs rounds; one that says `False` is run again, at most as many times as there are rounds."""
        repeats = 0
        for n in range(self.rounds):
            while True:
                self.log(f"{name}: round {n + 1} of {self.rounds}")
                if one() is not False or repeats >= self.rounds:
                    break
                repeats += 1
                self.log(f"{name}: the machine was busy; the round is repeated")


def host_time():
    """What the host of a virtual machine kept to itself of our processors' time so far, and all of that time."""
    ours = {f"cpu{n}" for n in os.sched_getaffinity(0)}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user, nice, system, idle, iowait, irq, softirq, steal: proc_stat(5).
    times = [[int(n) for n in row[1:9]] for row in rows if row[0] in ours]
    return sum(row[7] for row in times), sum(map(sum, times))


def million(bench):
    options = dict(MILLION)
    if bench.quick:
        options |= {"alerts": 100_000, "big": 30_000}
    return filled("million", bench.log, **options)


def small(bench):
    return filled("thousand", bench.log, **SMALL)


def ingest(bench, wanted):
    """Rows 1, 2, 3 and the first half of 8: durable acknowledgements."""
    book = bench.book

    def compared(connections):
        bare = bench.bare(connections)
        if bare is None:
            return None
        with Watchfire(fresh("ingest")) as ours:
            us = bench.load(ours, connections)
        refuse_errors(us)
        if connections == 256 or not bench.alertmanager:
            return bare, us, None
        with Alertmanager(fresh("alertmanager")) as theirs:
            return bare, us, bench.load(theirs, connections)

    def one():
        for connections in (16, 64, 256) if 1 in wanted else (16, 64):
            measured = bench.undisturbed(f"{connections} connections", lambda: compared(connections))
            if measured is None:
                return False
            bare, us, them = measured
            book.add(1, f"÷ bare, {connections} connections", us["accepted_per_s"] / bare["accepted_per_s"])
            book.figure(f"bare 202/s, {connections} connections", bare["accepted_per_s"])
            book.figure(f"bare CPU µs per alert, {connections} connections", bare["cpu_us"])
            note_ours(book, us, f"{connections} connections, empty")
            if connections == 64:
                book.add(8, "empty", us["written_ratio"])
            if them is None:
                continue
            book.add(2, f"÷ Alertmanager, {connections} connections", us["accepted_per_s"] / them["accepted_per_s"])
            book.figure(f"Alertmanager 200/s, {connections} connections", them["accepted_per_s"])
            book.figure(f"Alertmanager CPU µs per alert, {connections} connections", them["cpu_us"])
            book.figure(f"Alertmanager p99 ms, {connections} connections", them["p99_ms"])
            if connections == 64:
                book.add(3, "p99, 64 connections", us["p99_ms"] / them["p99_ms"])
        return True

    bench.each_round("ingest", one)
    if not bench.alertmanager:
        for row in (2, 3):
            book.skip(row, "Alertmanager is not installed")


def refuse_errors(figures):
    if figures["refused"] or figures["broken"]:
        raise RuntimeError(f"{figures['refused']:.0f} refused, {figures['broken']:.0f} broken: {figures.get('note')}")


def note_ours(book, us, what):
    book.figure(f"Watchfire 202/s, {what}", us["accepted_per_s"])
    book.figure(f"Watchfire p50 ms, {what}", us["p50_ms"])
    book.figure(f"Watchfire p99 ms, {what}", us["p99_ms"])
    book.figure(f"Watchfire CPU µs per alert, {what}", us["cpu_us"])
    book.figure(f"Watchfire writer CPU µs per alert, {what}", us["writer_us"])


def safety(bench, _):
    """Row 4 is a matter of tests: they are run here, with as many kills as the row asks for."""
    kills = "5" if bench.quick else "50"
    command = ["cargo", "test", "--locked", "--test", "it", "--", "crash::"]
    env = {**os.environ, "CRASH_ROUNDS": kills}
    bench.log(f"safety: {' '.join(command)}")
    out = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    bench.book.add(4, f"missing after {kills} kills (power cut and full disk: the tests of the store)", 0 if out.returncode == 0 else 1)
    if out.returncode != 0:
        bench.log(out.stdout[-3000:])


def start(bench, _):
    """Row 5: how long until it is ready."""
    book, stored = bench.book, million(bench)
    folder = copied(stored, "start")

    def one():
        with Watchfire(fresh("first")) as ours:
            first = ours.ready_s
        with Watchfire(folder) as ours:
            load(ours, connections=64, count=20_000, repeats=0, seed=time.time_ns() % 1_000_000)
            ours.kill()
        with Watchfire(folder) as ours:
            killed = ours.ready_s
            ours.settle()
        with Watchfire(folder) as ours:
            again = ours.ready_s
        book.limit("start, empty, s", first, 0.3)
        book.limit("start with a million, s", again, 1.0)
        book.limit("start with a million after a kill, s", killed, 1.0)
        if not bench.alertmanager:
            return True
        with Alertmanager(fresh("alertmanager")) as theirs:
            them = theirs.ready_s
        book.figure("Alertmanager's first start, s", them)
        book.add(5, "after a kill with a million ÷ Alertmanager's empty start", killed / them)
        book.add(5, "first start ÷ Alertmanager's", first / them)
        return True

    # The first to run of each pays for reading its program from the disk.
    for program, name in [(Watchfire, "first"), (Alertmanager, "alertmanager")]:
        if program is Watchfire or bench.alertmanager:
            with program(fresh(name)):
                pass
    bench.each_round("start", one)
    if not bench.alertmanager:
        book.skip(5, "Alertmanager is not installed")


def memory(bench, _):
    """Row 6: resident memory, idle and with many open alerts."""
    book, stored = bench.book, million(bench)
    count = 10_000 if bench.quick else 100_000
    mb = 1024 * 1024

    def filled_up(program):
        refuse_errors(load(program, connections=64, count=count, repeats=0, seconds=600))
        program.settle()
        time.sleep(5)
        return program.memory()

    def one():
        with Watchfire(fresh("memory")) as ours:
            time.sleep(3)
            idle, open_ones = ours.memory(), filled_up(ours)
            book.figure("Watchfire RSS without mapped files, 100,000 open, MB", ours.memory("RssAnon") / mb)
        with Watchfire(stored) as ours:
            for path in ("/incidents", "/alerts", "/api/alerts?limit=50"):
                ours.get(path)
            time.sleep(5)
            big = ours.memory()
            book.figure("Watchfire RSS without mapped files, a million stored, MB", ours.memory("RssAnon") / mb)
        book.limit("idle resident memory, MB", idle / mb, 60)
        book.figure("Watchfire RSS, 100,000 open, MB", open_ones / mb)
        book.figure("Watchfire RSS, a million stored, MB", big / mb)
        if not bench.alertmanager:
            return True
        with Alertmanager(fresh("alertmanager")) as theirs:
            time.sleep(3)
            their_idle, their_open = theirs.memory(), filled_up(theirs)
        book.figure("Alertmanager RSS, idle, MB", their_idle / mb)
        book.figure("Alertmanager RSS, 100,000 open, MB", their_open / mb)
        book.add(6, "idle", idle / their_idle)
        book.add(6, "100,000 open", open_ones / their_open)
        book.add(6, "ours at a million stored ÷ its at 100,000", big / their_open)
        return True

    bench.each_round("memory", one)
    if not bench.alertmanager:
        book.skip(6, "Alertmanager is not installed")


def at_a_million(bench, _):
    """Rows 7 and the second half of 8: what a stored million costs."""
    book, folder = bench.book, copied(million(bench), "at-a-million")

    def compared():
        if bench.bare(64) is None:
            return None
        with Watchfire(fresh("at-none")) as ours:
            none = bench.load(ours, 64)
        with Watchfire(folder) as ours:
            # Other alerts each time: all of them are new to the store.
            return none, bench.load(ours, 64, seed=time.time_ns() % 1_000_000)

    def one():
        measured = bench.undisturbed("a million stored", compared)
        if measured is None:
            return False
        none, many = measured
        refuse_errors(none)
        refuse_errors(many)
        book.add(7, "CPU per alert", many["cpu_us"] / none["cpu_us"])
        book.add(8, "a million stored", many["written_ratio"])
        note_ours(book, many, "64 connections, a million stored")
        return True

    bench.each_round("a million", one)


# Path and what it is; the time of each is held against the limit of 50 ms.
PAGES = [
    ("/incidents", "incidents page with panel"),
    ("/incidents?q=status%3Aresolved", "incidents page, closed"),
    ("/incidents?q=severity%3Acritical+since%3A7d", "incidents page, critical of 7 days"),
    ("/incidents?q=service%3Asvc-7", "incidents page of a service"),
    ("/incidents?q=vacuum+replication", "incidents page, words"),
    ("/api/incidents?limit=50", "/api/incidents"),
    ("/api/incidents?status=resolved&severity=critical&limit=50", "/api/incidents, closed and critical"),
    ("/api/incidents?service=svc-7&limit=50", "/api/incidents of a service"),
    ("/api/incidents?sort=-severity&limit=50", "/api/incidents by severity"),
    ("/alerts", "alerts page"),
    ("/alerts?q=status%3Afiring", "alerts page, firing"),
    ("/alerts?q=severity%3Acritical", "alerts page, critical"),
    ("/alerts?q=service%3Asvc-7", "alerts page of a service"),
    ("/alerts?q=host%3Ahost-42*", "alerts page, a host's beginning"),
    ("/alerts?q=vacuum+replication", "alerts page, words"),
    ("/alerts?q=nothing-has-this", "alerts page, no match"),
    ("/api/alerts?limit=50", "/api/alerts"),
    ("/api/alerts?status=firing&limit=50", "/api/alerts, firing"),
    ("/deliveries", "deliveries page"),
    ("/deliveries?outcome=refused", "deliveries page, refused"),
    ("/api/deliveries?limit=50", "/api/deliveries"),
]

# The same, held against 150 ms.
SLOWER_PAGES = [
    ("/insights?since=1y", "insights page, a year"),
    ("/insights?since=1y&service=svc-7", "insights page of a service, a year"),
    ("/api/insights?since=1y", "/api/insights, a year"),
]


def big_incident(program):
    """The incident with the most alerts."""
    import json

    rows = json.loads(program.get("/api/incidents?sort=-alerts&limit=1")[1])["incidents"]
    return rows[0]["id"]


def times(program, path, count):
    """Seconds of `count` requests over one connection, sorted."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
    taken = []
    for _ in range(count):
        status, _, took = program.get(path, connection)
        if status != 200:
            raise RuntimeError(f"{path} answers {status}")
        taken.append(took)
    connection.close()
    return sorted(taken)


def at(taken, share):
    return taken[min(len(taken) - 1, round(len(taken) * share))]


def pages(bench, _):
    """Row 9, and every page and list against 50 ms with a million alerts stored."""
    book, count = bench.book, 20 if bench.quick else 100

    def one():
        with ExitStack() as stack:
            many = stack.enter_context(Watchfire(copied(million(bench), "pages")))
            few = stack.enter_context(Watchfire(copied(small(bench), "pages-small")))
            incident = big_incident(many)
            for path, name in PAGES + [
                (f"/incidents/{incident}", "incident of 300,000 alerts"),
                (f"/incidents/{incident}/panels", "its panels"),
                (f"/api/incidents/{incident}", "/api/incidents/ID, 300,000 alerts"),
                (f"/api/incidents/{incident}/alerts", "its alerts"),
                (f"/api/incidents/{incident}/timeline", "its timeline"),
                (f"/api/alerts?incident={incident}&limit=50", "/api/alerts of the incident"),
            ]:
                if many.get(path)[0] == 404:
                    continue
                taken = times(many, path, count)
                book.limit(f"{name}, p95 ms", at(taken, 0.95) * 1e3, 50)
                if path in ("/incidents", "/alerts"):
                    before = times(few, path, count)
                    book.add(9, f"{name}, a million ÷ a thousand", at(taken, 0.5) / at(before, 0.5))
            for path, name in SLOWER_PAGES:
                book.limit(f"{name}, p95 ms", at(times(many, path, count), 0.95) * 1e3, 150)
            calm = times(many, "/alerts", count * 5)
            peak = load(few, connections=64, seconds=5, warm=1)["accepted_per_s"]
            seconds = 30 if bench.quick else 60
            busy = run_tool(
                "wfload", *load_arguments(many, connections=64, rate=peak / 2, seconds=seconds, warm=0), wait=False
            )
            time.sleep(2)
            loaded = []
            while busy.poll() is None and len(loaded) < count * 5:
                loaded += times(many, "/alerts", 10)
            busy.terminate()
            busy.wait()
            loaded.sort()
            book.add(9, "alerts page, p99 under half of peak load ÷ idle", at(loaded, 0.99) / at(calm, 0.99))
            book.figure("alerts page p99 ms under half of peak load", at(loaded, 0.99) * 1e3)
        return True

    bench.each_round("pages", one)


def correlation(bench, _):
    """Row 10: what many open incidents cost an alert."""
    sizes = (1_000, 10_000) if bench.quick else (1_000, 10_000, 100_000)
    stores = {
        n: copied(filled(f"open-{n}", bench.log, alerts=n, open_incidents=n, open_alerts=n, days=30), f"open-{n}")
        for n in sizes
    }

    def one():
        cost = {}
        for n, folder in stores.items():
            with Watchfire(folder) as ours:
                figures = bench.load(ours, 64, seed=time.time_ns() % 1_000_000)
            refuse_errors(figures)
            cost[n] = figures["writer_us"]
            bench.book.figure(f"writer CPU µs per alert, {n} open incidents", cost[n])
        for n in sizes[1:]:
            bench.book.add(10, f"{n} open incidents ÷ 1,000", cost[n] / cost[1_000])
        return True

    bench.each_round("correlation", one)


def streams(bench, _):
    """Row 11: how long an alert takes to the last of a thousand readers."""

    def one():
        with Watchfire(fresh("streams")) as ours:
            probes = 30 if bench.quick else 200
            arguments = {"addr": ours.address, "path": ours.path, "header": AUTH, "events": "/api/incidents/stream"}
            fan = run_tool(
                "ssefan", *[w for k, v in arguments.items() for w in (f"--{k}", v)], "--clients", 1000, "--probes", probes,
                wait=False,
            )
            fan.stdout.readline()
            busy = run_tool("wfload", *load_arguments(ours, connections=64, rate=1000, seconds=3600, warm=0), wait=False)
            figures = pairs(fan.stdout.readline())
            busy.terminate()
            busy.wait()
            fan.wait()
        if figures["missing"]:
            bench.log(f"streams: {figures['missing']:.0f} events did not reach their readers in 10 s")
        bench.book.add(11, "p99 to the last of 1,000 readers, s", figures["last_p99_ms"] / 1e3)
        bench.book.figure("median of the last of 1,000 readers, ms", figures["last_p50_ms"])
        return True

    bench.each_round("streams", one)


def beside(bench, _):
    """Row 12: what readers of events and the text index cost the intake."""

    def one():
        if bench.bare(64) is None:
            return False
        with Watchfire(fresh("alone")) as ours:
            alone = bench.load(ours, 64)
        with Watchfire(fresh("watched")) as ours:
            fan = run_tool(
                "ssefan", "--addr", ours.address, "--header", AUTH, "--events", "/api/incidents/stream", "--clients", 1000,
                wait=False,
            )
            fan.stdout.readline()
            watched = bench.load(ours, 64)
            fan.terminate()
            fan.wait()
        with NoIndex(fresh("no-index")) as ours:
            bare_of_index = bench.load(ours, 64)
        bench.book.add(12, "with 1,000 readers of events ÷ without", watched["accepted_per_s"] / alone["accepted_per_s"])
        bench.book.add(12, "with the text index ÷ without", alone["accepted_per_s"] / bare_of_index["accepted_per_s"])
        bench.book.figure("CPU µs per alert without the text index", bare_of_index["cpu_us"])
        return True

    bench.each_round("beside", one)


def overload(bench, _):
    """Row 13: twice of what it can take."""
    book = bench.book

    def one():
        # What it takes for as long as one likes: a burst is taken faster than it is applied.
        with Watchfire(fresh("peak")) as ours:
            burst = bench.load(ours, 64)
            peak = burst["all_accepted"] / (burst["whole_seconds"] + burst["settled_s"])
        with Crammed(fresh("overload")) as ours:
            over = load(ours, connections=1024, rate=2 * peak, seconds=bench.seconds, warm=bench.warm)
            ours.settle()
        book.add(13, "goodput ÷ peak", over["accepted_per_s"] / peak)
        book.add(13, "refusals without Retry-After", over["without_retry_after"] + over["broken"])
        book.figure("peak, applied as well, 202/s", peak)
        book.figure("refused/s at twice the peak", over["refused"] / over["seconds"])
        book.figure("p99 ms of a refusal", over["refused_p99_ms"])
        return True

    bench.each_round("overload", one)


def retention(bench, _):
    """Row 14: what removing the old costs those who send."""
    book, folder = bench.book, copied(million(bench), "retention")

    def stored(program):
        lines = program.get("/metrics")[1].decode().splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("watchfire_store_rows_bytes{"))

    def one():
        # The same rate for both, below what either can take; other alerts each round.
        common = dict(connections=64, rate=2_000, seconds=bench.seconds, warm=bench.warm)
        with Watchfire(folder) as ours:
            calm = load(ours, seed=time.time_ns() % 1_000_000, **common)
            ours.settle()
        with Sweeping(folder) as ours:
            before = stored(ours)
            swept = load(ours, seed=time.time_ns() % 1_000_000, **common)
            ours.settle()
            gone = before - stored(ours)
        if gone <= 0:
            raise RuntimeError("nothing was removed: the figure would say nothing")
        book.add(14, "p99 while the old is removed ÷ before", swept["p99_ms"] / calm["p99_ms"])
        book.figure("p99 ms at 2,000 alerts/s, nothing removed", calm["p99_ms"])
        book.figure("p99 ms at 2,000 alerts/s, the old removed", swept["p99_ms"])
        book.figure("MB removed in such a round, what came in taken off", gone / 1e6)
        return True

    bench.each_round("retention", one)


ALL = [
    ({1, 2, 3, 8}, ingest),
    ({4}, safety),
    ({5}, start),
    ({6}, memory),
    ({7, 8}, at_a_million),
    ({9}, pages),
    ({10}, correlation),
    ({11}, streams),
    ({12}, beside),
    ({13}, overload),
    ({14}, retention),
    ({15}, interface),
    ({16}, telling.first_bytes),
    ({17}, telling.storm),
    ({18}, telling.rules),
]
