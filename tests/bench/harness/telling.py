"""Rows 16 to 18: how soon targets are told, what becomes of a storm, and what rules cost those who send."""

import hashlib
import http.client
import json
import re
import threading
import time

from .fakes import Discord, Fakes, Target
from .programs import AUTH, Watchfire, fresh, load_arguments, run_tool

CHANNELS = 20
# So often the same storm, the memory of which is compared.
STORMS = 6
# The text of an alert in what the webhook gets.
MARK = re.compile(rb"\b[a-z]{14}\b")
MB = 1024 * 1024


class Teller(Watchfire):
    """A server whose channels may lead to the fakes, and where what begins at the same time does not belong together."""

    env = Watchfire.env | {
        "WATCHFIRE_NOTIFICATIONS_ALLOW": "127.0.0.1/32",
        "WATCHFIRE_NOTIFICATIONS_PLAIN_HTTP": "true",
        "WATCHFIRE_CORRELATION_CLUSTER_WINDOW": "0s",
    }

    def make(self, path, body):
        """Makes something by the API; what the answer says."""
        status, said = post(self.port, path, body)
        if status != 201:
            raise RuntimeError(f"{path} answers {status}: {said[:500]}")
        return json.loads(said)

    def channel(self, name, kind, **settings):
        return self.make("/api/channels", {"name": name, "kind": kind, "settings": settings})["id"]

    def rule(self, name, channels, **more):
        self.make("/api/rules", {"name": name, "targets": [{"channel": id} for id in channels], **more})

    def waiting(self):
        """Messages that have not come to an end, of all channels; and whether a channel fails."""
        channels = json.loads(self.get("/api/channels")[1])["channels"]
        return sum(c["waiting"] for c in channels), [c["health"] for c in channels if c["health"]["failures"]]

    def incidents(self):
        """How many are open."""
        lines = self.get("/metrics")[1].decode().splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("watchfire_incidents_open{")))


def post(port, path, body, connection=None):
    c = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    c.request("POST", path, body, {**dict([AUTH.split(": ", 1)]), "content-type": "application/json"})
    answer = c.getresponse()
    said = answer.read()
    if connection is None:
        c.close()
    return answer.status, said


def word(name):
    """What stands for a name in an alert: nothing about two of them is alike, so that each is an incident of its own."""
    return "".join(chr(ord("a") + byte % 26) for byte in hashlib.sha256(name.encode()).digest()[:14])


def alert(name, what, status="firing"):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ended = {"endsAt": now} if status == "resolved" else {}
    labels = {"alertname": word(name + "/name"), "service": word(name), "severity": "critical", "what": what}
    return {"status": status, "startsAt": now, **ended, "labels": labels, "annotations": {"summary": word(name + "/text")}}


def fits(what):
    return [{"field": "label.what", "op": "=", "value": what}]


def hook(alerts):
    return {"version": "4", "status": alerts[0]["status"], "receiver": "watchfire", "alerts": alerts}


def at(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, round(len(values) * share))]


# ---- row 16 ----

def first_bytes(bench, _):
    """Row 16: from the acknowledgement of an alert to the first byte at each of twenty webhooks."""
    many = 60 if bench.quick else 500

    def tell(server, targets, what):
        """Seconds for each message, and until the last of an incident's."""
        acknowledged = {}
        began = time.perf_counter()
        for n in range(many):
            # Below the ten a second that a webhook gets at most.
            time.sleep(max(0, began + n / 8 - time.perf_counter()))
            name = f"{what} {n}"
            status, said = post(server.port, server.path, hook([alert(name, "told")]))
            if status != 202:
                raise RuntimeError(f"an alert is answered with {status}: {said[:300]}")
            acknowledged[word(name + "/text").encode()] = time.perf_counter()
        server.settle()
        deadline = time.monotonic() + 60
        while server.waiting()[0] and time.monotonic() < deadline:
            time.sleep(0.2)
        each, last = [], {}
        for target in targets:
            told = [(name, first) for first, body in target.got for name in acknowledged.keys() & MARK.findall(body)]
            if len(told) != many or len({name for name, _ in told}) != many:
                raise RuntimeError(f"{len(told)} messages of {len({n for n, _ in told})} incidents; {many} of each are right")
            for name, first in told:
                took = max(0.0, first - acknowledged[name])
                each.append(took)
                last[name] = max(last.get(name, 0), took)
        return each, list(last.values())

    def one():
        targets = {f"/hooks/{n}": Target() for n in range(CHANNELS)}
        with Fakes(targets) as fakes, Teller(fresh("first-bytes")) as server:
            ids = [server.channel(f"hook {n}", "webhook", url=fakes.url(f"/hooks/{n}")) for n in range(CHANNELS)]
            server.rule("All of them", ids, events=["opened"], matchers=fits("told"))
            for what, rate in (("quiet", 0), ("busy", 2_000)):
                beside = None
                if rate:
                    arguments = load_arguments(server, connections=64, rate=rate, seconds=many / 8 + 5, warm=0)
                    beside = run_tool("wfload", *arguments, wait=False)
                    time.sleep(1)
                each, last = tell(server, targets.values(), what)
                if beside:
                    beside.terminate()
                    beside.wait()
                name = f"commit to first byte, {CHANNELS} webhooks" + (f", beside {rate:,} alerts/s" if rate else "")
                bench.book.limit(f"{name}, p95 s", at(each, 0.95), 1)
                bench.book.figure(f"{name}, p50 s", at(each, 0.5))
                bench.book.figure(f"{name}, p99 s", at(each, 0.99))
                bench.book.figure(f"{name}, the last of the {CHANNELS}, p95 s", at(last, 0.95))
        return True

    bench.each_round("first bytes", one)


# ---- row 17 ----

class Watch:
    """Looks at the memory of a program until it is asked."""

    def __init__(self, program):
        self.program, self.peak, self.over = program, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.02):
            self.peak = max(self.peak, self.program.memory("RssAnon"))

    def ends(self):
        self.over.set()
        self.thread.join()
        return self.peak


def storm(bench, _):
    """Row 17: very many incidents at once to one chat, which takes five messages in two seconds."""
    many = 1_000 if bench.quick else 10_000
    book = bench.book

    def send(server, names, status):
        """All of them, fifty in a delivery, eight deliveries at a time."""
        bodies = [hook([alert(n, n.split()[0], status) for n in names[k:k + 50]]) for k in range(0, len(names), 50)]
        bodies = [json.dumps(body).encode() for body in bodies]
        refused = []

        def some(share):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for body in share:
                status, said = post(server.port, server.path, body, connection)
                if status != 202:
                    refused.append((status, said[:300]))
            connection.close()

        threads = [threading.Thread(target=some, args=(bodies[n::8],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if refused:
            raise RuntimeError(f"{len(refused)} deliveries of the storm are refused: {refused[0]}")

    def counted(target, since):
        """Of how many incidents each message tells."""
        told = []
        for _, body in target.got[since:]:
            title = json.loads(body)["embeds"][0]["title"]
            found = re.search(r"(\d+) incidents?: \d", title)
            told.append(int(found.group(1)) if found else 1)
        return told

    def rage(server, number, chat=None, other=None):
        """One storm; how it went. Without a chat there are no rules, and nobody is told."""
        figures = {"before": server.memory("RssAnon")}
        since = len(chat.got) if chat else 0
        watch, began = Watch(server), time.perf_counter()
        names = [f"storm {number} {n}" for n in range(many)]
        send(server, names, "firing")
        figures["sent"] = time.perf_counter() - began
        # One of another service, for another channel, once the storm is applied and while it is told.
        while server.behind() > 0:
            time.sleep(0.005)
        calm, asked = f"calm {number}", time.perf_counter()
        post(server.port, server.path, hook([alert(calm, "calm")]))
        server.settle()
        deadline = time.monotonic() + 600
        while server.waiting()[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        waiting, failing = server.waiting()
        if waiting or failing:
            raise RuntimeError(f"{waiting} messages wait; {failing}")
        if server.incidents() != many + 1:
            raise RuntimeError(f"{server.incidents()} incidents are open, {many + 1} are right")
        if chat:
            told = counted(chat, since)
            heard = [first for first, body in other.got if word(calm + "/text").encode() in body]
            if len(heard) != 1:
                raise RuntimeError(f"the other channel is told {len(heard)} times")
            figures |= {"took": chat.got[-1][0] - began, "messages": len(told), "largest": max(told)}
            figures |= {"wrong": abs(many - sum(told)), "other": heard[0] - asked}
        time.sleep(5)
        figures["peak"] = watch.ends()
        # They end, so that the next storm is like this one; nobody is told of that.
        send(server, [*names, calm], "resolved")
        server.settle()
        return figures

    def one():
        chat, other = Discord(), Target()
        targets = {"/api/webhooks/1/token": chat, "/hooks/other": other}
        with Fakes(targets) as fakes, Teller(fresh("storm")) as server:
            discord = server.channel("chat", "discord", url=fakes.url("/api/webhooks/1/token"))
            calm = server.channel("other", "mattermost", url=fakes.url("/hooks/other"))
            server.rule("Storms", [discord], events=["opened"], matchers=fits("storm"))
            server.rule("The other", [calm], events=["opened"], matchers=fits("calm"))
            told = [rage(server, n, chat, other) for n in range(STORMS)]
        with Teller(fresh("untold")) as server:
            untold = [rage(server, n) for n in range(STORMS)]
        what = f"storm of {many:,}"
        # What telling adds to the peak of the same storm; the store itself takes more with what it holds.
        added = [(s["peak"] - u["peak"]) / MB for s, u in zip(told, untold)]
        half = STORMS // 2
        grown = at(added[half:], 0.5) - at(added[:half], 0.5)
        book.limit(f"{what}: until the last is told, s", max(s["took"] for s in told), 60)
        book.limit(f"{what}: incidents that are not told, or told twice", max(s["wrong"] for s in told), 0)
        book.limit(f"{what}: another channel is told meanwhile, s", max(s["other"] for s in told), 1)
        # Of two programs that hold much more than that; what telling itself takes is a test (`notify_flat`).
        book.figure(f"{what}: what telling adds to the peak, last three above first three (medians), MB", grown)
        book.figure(f"{what}: what telling adds to the peak, MB", at(added, 0.5))
        book.figure(f"{what}: seconds until all were acknowledged", max(s["sent"] for s in told))
        book.figure(f"{what}: messages", max(s["messages"] for s in told))
        book.figure(f"{what}: incidents in the largest message", max(s["largest"] for s in told))
        book.figure(f"{what}: refusals (429) in {STORMS} storms", chat.refused)
        for number, (s, u) in enumerate(zip(told, untold), 1):
            book.figure(f"{what}, no. {number}: memory before, MB", s["before"] / MB)
            book.figure(f"{what}, no. {number}: peak, MB", s["peak"] / MB)
            book.figure(f"{what}, no. {number}: peak without rules, MB", u["peak"] / MB)
        return True

    bench.each_round("storm", one)


# ---- row 18 ----

def rules(bench, _):
    """Row 18: what twenty rules cost those who send."""

    def one():
        if bench.bare(64) is None:
            return False
        with Teller(fresh("no-rules")) as ours:
            none = bench.load(ours, 64)
        with Fakes({f"/hooks/{n}": Target() for n in range(CHANNELS)}) as fakes, Teller(fresh("rules")) as ours:
            for n in range(CHANNELS):
                channel = ours.channel(f"hook {n}", "webhook", url=fakes.url(f"/hooks/{n}"))
                ours.rule(f"Rule {n}", [channel], events=["opened", "severity_up", "resolved"])
            some = bench.load(ours, 64)
            told = sum(len(target.got) for target in fakes.targets.values())
            left = ours.waiting()[0]
        for figures in (none, some):
            if figures["refused"] or figures["broken"]:
                raise RuntimeError(f"{figures['refused']:.0f} refused, {figures['broken']:.0f} broken: {figures.get('note')}")
        bench.book.add(18, "goodput", some["accepted_per_s"] / none["accepted_per_s"])
        bench.book.add(18, "p99", some["p99_ms"] / none["p99_ms"])
        bench.book.figure("writer CPU µs per alert, no rules", none["writer_us"])
        bench.book.figure("writer CPU µs per alert, 20 rules", some["writer_us"])
        bench.book.figure("CPU µs per alert, no rules", none["cpu_us"])
        bench.book.figure("CPU µs per alert, 20 rules", some["cpu_us"])
        bench.book.figure("202/s, no rules", none["accepted_per_s"])
        bench.book.figure("p99 ms, no rules", none["p99_ms"])
        bench.book.figure("p99 ms, 20 rules", some["p99_ms"])
        bench.book.figure("messages sent meanwhile", told)
        bench.book.figure("messages that wait at its end, ten a second for each webhook", left)
        return True

    bench.each_round("rules", one)
