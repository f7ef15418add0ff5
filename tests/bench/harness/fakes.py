"""Targets of notifications: they take what comes, and note when its first byte came."""

import asyncio
import collections
import json
import threading
import time


class Target:
    """What is behind one path. `got` are the requests that were taken: when the first byte came, and the body."""

    def __init__(self):
        self.got = []

    def answer(self, first, body):
        """Status, further headers and body of the answer."""
        self.got.append((first, body))
        return 200, {}, b"ok"


class Discord(Target):
    """Takes so many messages in any span as Discord does, and refuses more as it does, in body and header."""

    MOST, SPAN = 5, 2.0

    def __init__(self):
        super().__init__()
        self.taken, self.refused = collections.deque(), 0

    def answer(self, first, body):
        while self.taken and first - self.taken[0] >= self.SPAN:
            self.taken.popleft()
        if len(self.taken) >= self.MOST:
            self.refused += 1
            after = round(self.SPAN - (first - self.taken[0]), 3)
            said = json.dumps({"message": "You are being rate limited.", "retry_after": after, "global": False})
            return 429, {"retry-after": str(int(after) + 1)}, said.encode()
        self.taken.append(first)
        super().answer(first, body)
        return 200, {}, json.dumps({"id": str(len(self.got)), "channel_id": "1"}).encode()


class Fakes:
    """An HTTP server on a thread of its own; `targets` by path."""

    def __init__(self, targets):
        self.targets = targets
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        made = self.loop.create_server(lambda: Connection(self.targets), "127.0.0.1", 0, backlog=512)
        self.server = self.loop.run_until_complete(made)
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Connection(asyncio.Protocol):
    def __init__(self, targets):
        self.targets, self.buffer, self.first = targets, b"", None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if not self.buffer:
            self.first = time.perf_counter()
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            whole = end + 4 + int(headers.get("content-length", 0))
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4:whole], self.buffer[whole:]
            target = self.targets.get(lines[0].split(" ")[1].partition("?")[0])
            status, more, said = target.answer(self.first, body) if target else (404, {}, b"nothing is here")
            head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(said)}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in more.items())
            self.transport.write(head.encode() + b"\r\n" + said)
            self.first = time.perf_counter()
