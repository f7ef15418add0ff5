"""Row 15: what a reader has of the pages with a million alerts and a hundred thousand incidents stored, in Chromium."""

import http.client
import json
import subprocess
import time
from contextlib import ExitStack

from . import chromium
from .programs import AUTH, TOKEN, Watchfire, built, copied, filled

# Incidents of alerts that fall short of ten, so that there are a hundred thousand of them.
STORE = {
    "alerts": 1_000_000, "per_incident": 7, "open_incidents": 60, "open_alerts": 600,
    # Each rule tells of some services that an incident opens and ends: about a quarter of a million messages in the outbox.
    "channels": 50, "rules": 50,
}
NAME, PASSWORD = "reader", "four plain words here"
EVENTS = 60

# Path, and what it is.
PAGES = [("/incidents", "incident list"), ("/alerts", "alerts"), ("/insights", "insights"), ("/connectors", "connectors")]

# Pages held against 150 ms; `{…}` stands for the first of its kind.
SLOWER = [
    "/insights?since=1y", "/settings/browser", "/settings/notifications", "/settings/notifications/new/discord",
    "/settings/notifications/channels/{channel}", "/settings/notifications/rules/new", "/settings/notifications/rules/{rule}",
    "/settings/contacts", "/settings/people/p0/contacts", "/settings/you", "/settings/people", "/settings/people/p0",
    "/settings/audit", "/settings/correlation", "/settings/investigation", "/settings/storage", "/settings/lessons",
    "/settings/about", "/on-call", "/on-call/schedules/new", "/on-call/schedules/{schedule}", "/on-call/policies/new",
    "/on-call/policies/{policy}", "/on-call/heartbeats/new", "/on-call/heartbeats/{heartbeat}",
    "/incidents/{incident}/notifications", "/silences", "/postmortems", "/topology", "/api/channels", "/api/notifications",
    "/api/notifications?channel={channel}", "/api/notifications?state=failed", "/api/rules", "/api/schedules", "/api/on-call",
]
TEAM = 20

# A slow phone link: 1.6 Mbit/s down, 150 ms to the server and back, and a processor of a quarter of the speed.
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}

WEIGHT = """(() => { const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return { bytes: all.reduce((n, e) => n + e.encodedBodySize, 0), document: all[0].encodedBodySize,
        nodes: document.querySelectorAll('*').length, rows: document.querySelectorAll('tr[data-row]').length,
        paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime }; })()"""
SHIFT = """(() => { let moved = 0;
    new PerformanceObserver((all) => { for (const e of all.getEntries()) moved += e.value; window.moved = moved; })
        .observe({ type: 'layout-shift', buffered: true }); window.moved = 0; })()"""
# Two frames after a cell of a row, or the button with the number of new ones, has changed.
RECORD = """(window.painted = [], new MutationObserver((all) => {
    if (all.some((m) => m.target.nodeName === 'TR' || m.target.closest?.('#newpill')))
        requestAnimationFrame(() => requestAnimationFrame(() => painted.push(Date.now())));
}).observe(document.getElementById('main'), { subtree: true, childList: true }), 1)"""


def store(bench):
    options = dict(STORE)
    if bench.quick:
        options |= {"alerts": 20_000}
    return filled("interface", bench.log, **options)


def staff(server):
    """People with contacts, and as many schedules, policies and heartbeats; what stands for each kind in a path."""
    def ask(method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        head = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body), head)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{path} answers {answer.status}: {said[:300]}")
        return json.loads(said)

    # The first account must be an administrator's.
    ask("POST", "/api/users", {"name": NAME, "role": "admin", "password": PASSWORD})
    first = lambda name: json.loads(server.get(f"/api/{name}")[1])[name][0]["id"]
    ids = {"channel": first("channels"), "rule": first("rules"), "incident": first("incidents")}
    names = [f"p{n}" for n in range(TEAM)]
    for n, name in enumerate(names):
        ask("POST", "/api/users", {"name": name, "role": "responder", "password": PASSWORD})
        contacts = [{"channel": ids["channel"], "address": f"@{name}"}]
        ask("PUT", f"/api/people/{name}/contacts", {"contacts": contacts})
    for n in range(TEAM):
        turns = {"people": names[n:] + names[:n], "starts_on": "2026-01-05", "hand_over": "09:00", "days": 1}
        made = ask("POST", "/api/schedules", {"name": f"Team {n}", "time_zone": "Europe/Berlin", "rotations": [turns]})
        ids.setdefault("schedule", made["id"])
        steps = [{"after_secs": 300 * k, "targets": [{"on_call": made["id"]}]} for k in range(5)]
        ids.setdefault("policy", ask("POST", "/api/escalation-policies", {"name": f"Team {n}", "steps": steps})["id"])
        beat = {"name": f"Job {n}", "from": {"platform": "healthchecks"}, "every_secs": 86_400}
        ids.setdefault("heartbeat", ask("POST", "/api/heartbeats", beat)["id"])
    return ids


def sign_in(browser, server):
    """As administrator, with an account of its own."""
    account = json.dumps({"name": NAME, "role": "admin", "password": PASSWORD})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/api/users", account, {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"})
    made = connection.getresponse()
    made.read()
    if made.status not in (201, 409):
        raise RuntimeError(f"no account: {made.status}")
    browser.open(f"http://{server.address}/login")
    browser.until("document.getElementById('u')")
    browser.js(f"(document.getElementById('u').value = '{NAME}', document.getElementById('p').value = '{PASSWORD}', 1)")
    browser.js("(document.querySelector('form .btn.primary').click(), 1)")
    browser.until("location.pathname === '/incidents' && document.readyState === 'complete'")


def at(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, round(len(values) * share))]


def first_load(browser, url):
    """As somebody who has never been here: nothing is cached."""
    browser.devtools("Network.clearBrowserCache")
    browser.open(url)
    browser.until("document.readyState === 'complete' && performance.getEntriesByName('first-contentful-paint').length")
    return browser.js(WEIGHT)


def to_the_screen(browser, server, url):
    """Milliseconds from the post of an alert to its row on the screen."""
    browser.open(url)
    browser.until("document.documentElement.dataset.stream === 'live'")
    browser.js(RECORD)
    took = []
    header = dict([AUTH.split(": ", 1)])
    rows = json.loads(server.get("/api/incidents?limit=50")[1])["incidents"]
    services = [i["service"] for i in rows if i["service"]][:20]
    for n in range(EVENTS):
        # One more alert of an incident whose row is in sight, as the sender of the store's alerts writes it.
        service = services[n % len(services)]
        alert = {
            "status": "firing", "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "labels": {"alertname": f"Pixel{n}", "service": service, "severity": "warning", "instance": f"pixel-{n}"},
            "annotations": {"summary": f"Pixel {n} of {service}"},
        }
        body = json.dumps({"version": "4", "status": "firing", "receiver": "watchfire", "alerts": [alert]})
        before, sent = browser.js("painted.length"), time.time() * 1e3
        # One of its own each time: the server ends those that are idle, just when one is used again.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", server.path, body, {**header, "content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 202:
            raise RuntimeError(f"an alert is answered with {answer.status}")
        browser.until(f"painted.length > {before}")
        took.append(browser.js(f"painted[{before}]") - sent)
    return took


def interface(bench, _):
    """Row 15: the budgets of the design, which are limits and not ratios."""
    if not chromium.found():
        bench.log("row 15 is left out: Chromium or chromedriver is missing")
        return
    from .rows import times

    book, folder = bench.book, store(bench)
    stored = subprocess.run([built("watchfire"), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    bench.log(f"interface: {stored}")

    def one():
        with ExitStack() as stack:
            server = stack.enter_context(Watchfire(copied(folder, "interface")))
            browser = stack.enter_context(chromium.Chromium())
            there = json.loads(server.get("/api/incidents?q=since%3A3650d&limit=1")[1])
            book.figure("incidents stored, at least", there.get("total") or 0)
            list_ms = [t * 1e3 for t in times(server, "/incidents", 20 if bench.quick else 200)]
            book.limit("incident list, HTML, p95 ms", at(list_ms, 0.95), 50)
            ids = staff(server)
            for path in SLOWER:
                taken = [t * 1e3 for t in times(server, path.format(**ids), 10 if bench.quick else 40)]
                book.limit(f"{path}, p95 ms", at(taken, 0.95), 150)
            sign_in(browser, server)
            for path, name in PAGES:
                url = f"http://{server.address}{path}"
                loads = [first_load(browser, url) for _ in range(3 if bench.quick else 10)]
                book.limit(f"{name}, first load, KB", at([l["bytes"] for l in loads], 0.5) / 1024, 100)
                book.limit(f"{name}, first paint, ms", at([l["paint"] for l in loads], 0.5), 300)
                if path == "/incidents":
                    if loads[0]["rows"] != 50:
                        raise RuntimeError(f"{loads[0]['rows']} rows in the list, 50 are asked for")
                    book.limit(f"{name}, document compressed, KB", loads[0]["document"] / 1024, 14)
                    book.limit(f"{name} of 50 rows, DOM nodes", loads[0]["nodes"], 1_500)
                    browser.js(SHIFT)
                    browser.until("window.moved === 0 || window.moved")
                    book.limit(f"{name}, layout shift of the load", browser.js("window.moved"), 0)
            book.limit("event to pixel, p95 ms", at(to_the_screen(browser, server, f"http://{server.address}/incidents"), 0.95), 1_000)
            browser.devtools("Network.enable")
            browser.devtools("Network.emulateNetworkConditions", **SLOW)
            browser.devtools("Emulation.setCPUThrottlingRate", rate=4)
            slow = [first_load(browser, f"http://{server.address}/incidents") for _ in range(3)]
            book.limit("incident list, first paint on a slow phone link, ms", at([l["paint"] for l in slow], 0.5), 1_500)
        return True

    bench.each_round("interface", one)
