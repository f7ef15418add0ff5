"""What others read or send: adaptive cards, the calendar, the Watchdog."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from common import KEPT, PATIENCE, ROOT, fail, free_port, holds, same

CARDS = "adaptivecards@3.0.6"

READER = """
const cards = require("adaptivecards/dist/adaptivecards.js");
const card = new cards.AdaptiveCard();
const context = new cards.SerializationContext(cards.Versions.v1_4);
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
card.parse(given, context);
const found = [];
for (let i = 0; i < context.eventCount; i++) found.push(context.getEventAt(i).message);
const checked = card.validateProperties();
for (const event of checked.validationEvents) found.push(event.message);
process.stdout.write(JSON.stringify({ found, items: card.getItemCount(), actions: card.getActionCount(),
  again: card.toJSON(context) }));
"""


def cards():
    """Every card among the fixtures, which are what the channel sends to the byte, by Microsoft's own library."""
    folder = KEPT / "cards"
    if not shutil.which("npm") or not shutil.which("node"):
        print("tests/receivers/run: adaptive cards are left out, there is no npm", flush=True)
        return
    if not (folder / "node_modules/adaptivecards").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), CARDS]
        made = subprocess.run(install, capture_output=True, text=True)
        if made.returncode != 0:
            print(f"tests/receivers/run: adaptive cards are left out: {made.stderr.strip().splitlines()[-1:]}", flush=True)
            return
    read = 0
    for file in sorted((ROOT / "tests/fixtures/channels/teams").glob("*.json")):
        if file.name == "settings.json":
            continue
        for call in json.loads(file.read_text()):
            card = call["body"]["attachments"][0]["content"]
            ran = subprocess.run(["node", "-e", READER], cwd=folder, input=json.dumps(card), capture_output=True, text=True)
            if ran.returncode != 0:
                fail(f"{file.name}: {ran.stderr}")
            told = json.loads(ran.stdout)
            same(f"what is wrong with the card of {file.name}", told["found"], [])
            same(f"the parts of {file.name}", (told["items"], told["actions"]), (len(card["body"]), len(card.get("actions", []))))
            read += 1
    holds("there are cards", read > 10)
    print(f"Microsoft's adaptivecards: {read} cards", flush=True)


def calendar(server):
    """icalendar reads who is on call, over the change of the clocks."""
    import datetime

    import icalendar

    for name in ("ada", "bob"):
        server.ask("/api/users", {"name": name, "role": "responder", "password": "a long password"})
    rotation = {"people": ["ada", "bob"], "starts_on": "2026-01-05", "hand_over": "09:00", "days": 7}
    name = "Kasse; erste Linie, mit \\ und einem Namen, der für eine Zeile zu lang ist: äöü 🔥"
    schedule = server.ask("/api/schedules", {"name": name, "time_zone": "Europe/Berlin", "rotations": [rotation]})
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    now = server.ask("/api/on-call")["on_call"][0]["person"]
    other = "bob" if now == "ada" else "ada"
    server.ask(f"/api/schedules/{schedule['id']}/overrides", {"until": until, "person": other})
    with urllib.request.urlopen(schedule["calendar_url"], timeout=20) as answer:
        same("its kind", answer.headers["content-type"], "text/calendar; charset=utf-8")
        read = icalendar.Calendar.from_ical(answer.read())
    same("mistakes", (read.errors, [e.errors for e in read.walk("VEVENT") if e.errors]), ([], []))
    # It knows no type of what begins with X-, so that this is as it was written.
    plain = str(read["x-wr-calname"]).replace("\\;", ";").replace("\\,", ",").replace("\\\\", "\\")
    same("name", plain, name)
    events = sorted(read.walk("VEVENT"), key=lambda e: e["dtstart"].dt)
    holds("there are more than a year of shifts", len(events) > 50)
    same("ids", len({str(e["uid"]) for e in events}), len(events))
    for before, after in zip(events, events[1:]):
        same("no gap and no overlap", before["dtend"].dt, after["dtstart"].dt)
    import zoneinfo
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    regular = [e for e in events[1:] if "description" not in e]
    hours = [e["dtstart"].dt.astimezone(berlin).strftime("%H:%M") for e in regular]
    same("hand-overs by the clock on the wall, but for the end of the override", sum(h != "09:00" for h in hours) <= 1, True)
    offsets = {e["dtstart"].dt.astimezone(berlin).utcoffset() for e in regular}
    same("summer and winter", len(offsets), 2)
    stand_in = [e for e in events if "description" in e]
    same("the override", [str(e["summary"]) for e in stand_in], [f"{other} is on call: {name}"])
    at = datetime.datetime.now(datetime.timezone.utc)
    on_call = [e for e in events if e["dtstart"].dt <= at < e["dtend"].dt]
    same("who is on call now", [str(e["summary"]).split(" ")[0] for e in on_call], [other])
    print(f"icalendar: {len(events)} shifts", flush=True)


def watchdog(running, server, folder):
    """Debian's Alertmanager sends Prometheus' Watchdog; when it is gone, that is an incident."""
    name, proof = "prometheus-alertmanager", KEPT / "root/usr/bin/prometheus-alertmanager"
    if not proof.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            print("tests/receivers/run: the Watchdog is left out, there is no apt-get", flush=True)
            return
        with tempfile.TemporaryDirectory(dir=KEPT) as there:
            fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "download", name]
            fetched = subprocess.run(fetch, cwd=there, capture_output=True, text=True)
            if fetched.returncode != 0:
                print(f"tests/receivers/run: the Watchdog is left out: {fetched.stderr.strip().splitlines()[-1:]}", flush=True)
                return
            for file in Path(there).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(file), str(KEPT / "root")], check=True)
    matchers = [{"field": "label.alertname", "op": "=", "value": "Watchdog"}]
    beat = server.make("heartbeats", {"name": "Prometheus", "every_secs": 60, "from": {"alerts": matchers}})
    key = server.ask("/api/connectors/alertmanager/reveal-key", {})["key"]
    (folder / "alertmanager.yml").write_text(f"""route: {{receiver: watchfire, group_wait: 0s, group_interval: 1s, repeat_interval: 5s}}
receivers:
- name: watchfire
  webhook_configs:
  - url: {server.url}/api/webhooks/alertmanager
    http_config: {{authorization: {{credentials: '{key}'}}}}
""")
    port = free_port()
    manager = running.start("alertmanager", [
        str(proof), "--config.file=alertmanager.yml", "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ], folder, stdout=subprocess.DEVNULL)
    alert = json.dumps([{"labels": {"alertname": "Watchdog", "severity": "none"}, "annotations": {"summary": "Always"}}])
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v2/alerts", alert.encode(),
                                             {"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=5).close()
            break
        except OSError as e:
            if time.monotonic() > ends or manager.poll() is not None:
                fail(f"Alertmanager does not take alerts: {e}")
            time.sleep(0.2)
    before = server.ask("/api/alerts")["total"]
    server.until("the heartbeat", lambda: server.ask(f"/api/heartbeats/{beat}")["state"] == "alive")
    same("alerts and incidents of it", (server.ask("/api/alerts")["total"],
         server.ask("/api/incidents?source=alertmanager")["total"]), (before, 0))
    manager.terminate()
    manager.wait(20)

    def missing():
        found = server.ask("/api/incidents?status=investigating&status=analyzed")["incidents"]
        return [i for i in found if "No heartbeat" in i["title"]]

    server.until("the incident of its absence", missing)
    same("its state", server.ask(f"/api/heartbeats/{beat}")["state"], "missing")
    print("Alertmanager: the Watchdog is heard, and missed", flush=True)
