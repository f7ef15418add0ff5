"""What the parts share: a Watchfire, a CA, things to wait for."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "target/receivers"
TOKEN = "the-token-of-the-receivers-test"
PATIENCE = 60
# Encoded in a subject, escaped in HTML, and longer than a line of mail.
TITLE = "Größe <b>über</b> 98 % – 🔥 & “voll” auf db-1"


def fail(what):
    sys.exit(f"tests/receivers/run: {what}")


def same(what, got, want):
    if got != want:
        fail(f"{what}: {got!r} instead of {want!r}")


def holds(what, true):
    if not true:
        fail(what)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Waiting:
    """A list that others put things into."""

    def __init__(self):
        self.all, self.more = [], threading.Condition()

    def put(self, thing):
        with self.more:
            self.all.append(thing)
            self.more.notify_all()

    def wait(self, what, many):
        with self.more:
            if not self.more.wait_for(lambda: len(self.all) >= many, PATIENCE):
                fail(f"{what}: {len(self.all)} of {many} came within {PATIENCE} s")
            return list(self.all)


class Running:
    """Programs that end with the test."""

    def __init__(self):
        self.all = []

    def start(self, name, command, folder, **more):
        log = open(folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stderr=log, cwd=folder, **more)
        self.all.append(process)
        return process

    def stop(self):
        for process in reversed(self.all):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Server:
    """A Watchfire of this test's own."""

    def __init__(self, running, program, folder):
        environment = {
            "PATH": os.environ["PATH"],
            "WATCHFIRE_BOOTSTRAP_TOKEN": TOKEN,
            "WATCHFIRE_NOTIFICATIONS_ALLOW": "127.0.0.0/8",
            "WATCHFIRE_NOTIFICATIONS_PLAIN_HTTP": "true",
            "WATCHFIRE_INVESTIGATION_DELAY": "0s",
        }
        command = [str(program), "serve", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"]
        process = running.start("watchfire", command, folder, stdout=subprocess.PIPE, text=True, env=environment)
        line = process.stdout.readline().strip()
        if "listening on " not in line:
            fail(f"watchfire did not start: {line or (folder / 'watchfire.log').read_text()}")
        self.url = line.split("listening on ")[1]

    def ask(self, path, body=None, method=None, timeout=40):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            fail(f"{path} {body}: {e.code} {e.read().decode()}")
        return json.loads(text) if text else None

    def make(self, things, body):
        return self.ask(f"/api/{things}", body)["id"]

    def try_channel(self, channel):
        tested = self.ask(f"/api/channels/{channel}/test", {})
        holds(f"the test of {channel}: {tested}", tested["ok"])

    def open(self, title, **more):
        return self.ask("/api/incidents", {"title": title, "severity": "high", **more})["id"]

    def until(self, what, ready):
        """Asks again after each event of the live stream, until `ready` gives something."""
        request = urllib.request.Request(self.url + "/api/incidents/stream", headers={"authorization": f"Bearer {TOKEN}"})
        ends = time.monotonic() + 3 * PATIENCE
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            while True:
                found = ready()
                if found:
                    return found
                if time.monotonic() > ends:
                    fail(f"{what} did not come")
                # An event, or the comment that comes every 15 s.
                stream.readline()


class House:
    """A CA of the house, as PEM, with a server's certificate and one for clients."""

    def __init__(self, folder):
        import trustme

        self.ca = trustme.CA()
        self.pem = self.ca.cert_pem.bytes().decode()
        server = self.ca.issue_cert("localhost", "127.0.0.1")
        self.files = folder / "server.pem"
        self.files.write_bytes(server.private_key_and_cert_chain_pem.bytes())
        client = self.ca.issue_cert("watchfire.local")
        self.certificate = b"".join(c.bytes() for c in client.cert_chain_pems).decode()
        self.key = client.private_key_pem.bytes().decode()

    def context(self, asks_clients=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files)
        if asks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context
