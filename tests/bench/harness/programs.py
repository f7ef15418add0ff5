"""The programs under test: started each in a session of its own, and what the system counts of them."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "target"
# What is measured is what is published, and the yardsticks are built like it; the tools only have to be quick enough.
MEASURED = ["watchfire", "bare", "noindex"]
TOOLS = ["wfload", "ssefan", "fill"]
WORK = TARGET / "bench"
TOKEN = "benchmark-token-0123456789abcdef"
AUTH = f"Authorization: Bearer {TOKEN}"
TICKS = os.sysconf("SC_CLK_TCK")
# Seconds for what follows the last delivery: the text index, the timers.
AFTERWARDS = 1.5


def own_session():
    """A session is a group of the scheduler: with equal weight, neither program is starved by the other's threads."""
    os.setsid()
    try:
        Path("/proc/self/autogroup").write_text("0")
    except OSError:
        pass  # A kernel without autogroups treats all alike anyway.


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def counted(file, counter):
    for line in file.read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == counter:
            return int(value)
    return 0


def built(name):
    """Where cargo puts a program."""
    return TARGET / ("dist" if name in MEASURED else "release") / name


class Program:
    """A running program with an HTTP address. `ready_s` is the time from its start to its first ready answer."""

    command: list
    env: dict = {}
    path = "/"
    shape = "webhook"
    header = ""
    ready_path = None

    def __init__(self, folder=None):
        self.folder = Path(folder) if folder else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = open(WORK / f"{type(self).__name__.lower()}.log", "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments(), env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=own_session,
        )
        self.ready_s = self.until_ready(began)

    def arguments(self):
        raise NotImplementedError

    def until_ready(self, began):
        while time.monotonic() - began < 600:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}; see {self.log.name}")
            if self.is_ready():
                return time.monotonic() - began
            time.sleep(0.002)
        raise RuntimeError(f"{self.process.args[0]} does not become ready")

    def is_ready(self):
        try:
            if self.ready_path is None:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            return self.get(self.ready_path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def get(self, path, connection=None):
        """Status, body and seconds to its last byte."""
        c = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = dict([self.header.split(": ", 1)]) if self.header else {}
        began = time.perf_counter()
        c.request("GET", path, headers=headers)
        response = c.getresponse()
        body = response.read()
        took = time.perf_counter() - began
        if connection is None:
            c.close()
        return response.status, body, took

    def cpu_s(self, thread=None):
        """Seconds of CPU so far, of the whole process or of the threads whose name begins with `thread`."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        stats = [Path(f"/proc/{self.process.pid}/stat")] if thread is None else [t / "stat" for t in tasks.iterdir()]
        ticks = 0
        for stat in stats:
            try:
                head, _, rest = stat.read_text().rpartition(")")
            except OSError:
                continue  # A thread that has ended meanwhile.
            if thread is None or head.partition("(")[2].startswith(thread):
                fields = rest.split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def written(self):
        """Bytes that it wrote to files so far: all that it wrote but for what its runtime's threads wrote, which are
        answers. Not the kernel's `write_bytes`: that counts the whole folio of the page cache when a page of it is
        changed, up to two megabytes for four kilobytes."""
        process = Path(f"/proc/{self.process.pid}")
        answers = 0
        for task in (process / "task").iterdir():
            try:
                if (task / "comm").read_text().startswith("tokio"):
                    answers += counted(task / "io", "wchar")
            except OSError:
                continue  # A thread that has ended meanwhile.
        return counted(process / "io", "wchar") - answers

    def memory(self, name="VmRSS"):
        """Bytes resident; `RssAnon` leaves out what is mapped from files."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0]) * 1024
        return 0

    def settle(self):
        """Waits until what was accepted is worked off."""

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self.log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Bare(Program):
    path = "/api/webhooks/alertmanager"

    def arguments(self):
        return [built("bare"), "--listen", self.address]


class Watchfire(Program):
    path = "/api/webhooks/alertmanager"
    header = AUTH
    ready_path = "/readyz"
    # One sender that sends more than any should, and stores of a year's deliveries that must stay while they are measured;
    # all other settings are the defaults.
    env = {
        "WATCHFIRE_BOOTSTRAP_TOKEN": TOKEN,
        "WATCHFIRE_CONNECTORS_ALERTMANAGER_RATE_PER_MINUTE": "0",
        "WATCHFIRE_RETENTION_DELIVERIES": "3650d",
    }

    def arguments(self):
        return [built("watchfire"), "serve", "--data-dir", self.folder, "--listen", self.address]

    def behind(self):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith("watchfire_store_behind "):
                return int(float(line.split()[1]))
        raise RuntimeError("no watchfire_store_behind in /metrics")

    def settle(self):
        deadline = time.monotonic() + 300
        while self.behind() > 0:
            if time.monotonic() > deadline:
                raise RuntimeError("what was accepted is not applied within five minutes")
            time.sleep(0.25)
        time.sleep(AFTERWARDS)


class Sweeping(Watchfire):
    """The same server, with far less room than what the store holds."""

    env = Watchfire.env | {"WATCHFIRE_RETENTION_SIZE": "64MiB"}


class Crammed(Watchfire):
    """The same server, which lets so few deliveries wait that it begins to refuse within seconds instead of minutes."""

    env = Watchfire.env | {"WATCHFIRE_LIMITS_MAX_BEHIND": "10000"}


class NoIndex(Watchfire):
    """The same server, composed without the task that follows the store into the text index."""

    def arguments(self):
        return [built("noindex"), "--dir", self.folder, "--listen", self.address]


class Alertmanager(Program):
    path = "/api/v2/alerts"
    shape = "alertmanager"
    ready_path = "/-/ready"

    def arguments(self):
        config = Path(__file__).with_name("alertmanager.yml")
        return [
            alertmanager_path(), f"--config.file={config}", f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}", "--cluster.listen-address=", "--log.level=error",
        ]


def alertmanager_path():
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def run_tool(name, *arguments, wait=True):
    """Runs one of the bench programs in a session of its own."""
    command = [str(built(name)), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=own_session)
    if not wait:
        return process
    out, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return out


def pairs(line):
    """`a=1 b=2` as numbers by name."""
    return {name: float(value) for name, _, value in (word.partition("=") for word in line.split())}


def load_arguments(program, **options):
    options = {"addr": program.address, "path": program.path, "shape": program.shape, "header": program.header, **options}
    return [word for name, value in options.items() if value != "" for word in (f"--{name}", value)]


def load(program, **options):
    """Figures of `wfload` against a program."""
    out = run_tool("wfload", *load_arguments(program, **options)).splitlines()
    figures = pairs(out[0])
    if len(out) > 1:
        figures["note"] = out[1]
    return figures


def measured_load(program, **options):
    """The same, with CPU and bytes written per alert until everything is worked off."""
    cpu, writer, written = program.cpu_s(), program.cpu_s("writer"), program.written()
    figures = load(program, **options)
    began = time.monotonic()
    program.settle()
    # For so long of what it took without having applied it.
    figures["settled_s"] = max(0, time.monotonic() - began - AFTERWARDS)
    alerts = max(figures["all_accepted"], 1)
    figures["cpu_us"] = (program.cpu_s() - cpu) * 1e6 / alerts
    figures["writer_us"] = (program.cpu_s("writer") - writer) * 1e6 / alerts
    figures["written_ratio"] = (program.written() - written) / (alerts * figures["body_bytes"])
    return figures


def fresh(name):
    """An empty folder."""
    folder = WORK / "folders" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def filled(name, log, **options):
    """A folder with many alerts; made once and kept as long as the programs that made it are the same."""
    folder = WORK / "stores" / name
    mark = folder / "made-by.json"
    wanted = {"options": options, "program": int(built("fill").stat().st_mtime)}
    if mark.exists() and json.loads(mark.read_text()) == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arguments = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]
    log(f"filling {name}: {run_tool('fill', '--dir', folder, *arguments).strip()}")
    # Where so much is stored it is indexed as well: what that costs is no part of what comes in afterwards.
    run_tool("watchfire", "reindex", "--data-dir", folder)
    mark.write_text(json.dumps(wanted))
    return folder


def copied(folder, name):
    """A copy of a folder to change."""
    copy = WORK / "folders" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(folder), str(copy)], check=True)
    # What the copy has not yet written to the disk would be written while measuring.
    os.sync()
    return copy
