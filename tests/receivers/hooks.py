"""What is posted: the signed webhook, and Slack with what comes back from it."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from common import TITLE, Waiting, holds, same

SIGNING = "the signing secret of the webhook"
CHALLENGE = "the challenge secret of the webhook"
SLACK = "8f742231b10e8888abcd99yyyzzz85a5"
TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
NETDATA = {
    "type": "object", "additionalProperties": False,
    "required": ["message", "alert", "info", "chart", "context", "space", "Rooms", "family", "class", "severity", "date",
                 "duration", "additional_active_critical_alerts", "additional_active_warning_alerts", "alert_url"],
    "properties": {
        **{name: TEXT for name in ("message", "alert", "info", "chart", "context", "space", "family", "class", "duration")},
        "Rooms": {"type": "object", "additionalProperties": TEXT},
        "severity": {"enum": ["warning", "critical", "clear"]},
        "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
        "additional_active_critical_alerts": COUNT, "additional_active_warning_alerts": COUNT,
        "alert_url": {"type": "string", "pattern": "^https?://"},
    },
}


def webhook(server, house):
    """A server with TLS that lets in only who shows a certificate of the house's CA."""
    import jsonschema

    got = Waiting()

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body=b""):
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            token = asked["crc_token"][0]
            digest = hmac.new(CHALLENGE.encode(), token.encode(), hashlib.sha256).digest()
            headers = {k.lower(): v for k, v in self.headers.items()}
            got.put(("GET", self.path, headers, b"", self.connection.getpeercert()))
            said = {"response_token": "sha256=" + base64.b64encode(digest).decode()}
            self.answer(200, json.dumps(said).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.put(("POST", self.path, {k.lower(): v for k, v in self.headers.items()}, body, self.connection.getpeercert()))
            self.answer(204)

        def log_message(self, *_):
            pass

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    receiver.socket = house.context(asks_clients=True).wrap_socket(receiver.socket, server_side=True)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    settings = {
        "url": f"https://localhost:{receiver.server_address[1]}/in?team=payments", "headers": "X-Team: payments",
        "authentication": "basic", "user": "watchfire", "password": "p:w", "client_certificate": house.certificate,
        "client_key": house.key, "signing_secret": SIGNING, "challenge_secret": CHALLENGE, "ca": house.pem,
    }
    channel = server.make("channels", {"name": "hook", "kind": "webhook", "settings": settings})
    (method, path, headers, _, peer), = got.wait("the challenge", 1)
    same("the challenge keeps the query", path.split("&crc_token=")[0], "/in?team=payments")
    same("it is asked with all headers", (headers["x-team"], headers["authorization"]),
         ("payments", "Basic d2F0Y2hmaXJlOnA6dw=="))
    holds(f"with the client's certificate: {peer}", ("DNS", "watchfire.local") in peer["subjectAltName"])
    server.try_channel(channel)
    rule = server.make("rules", {"name": "Hook", "events": ["opened", "resolved"], "targets": [{"channel": channel}]})
    incident = server.open(TITLE, service="shop")
    got.wait("the message", 3)
    server.ask(f"/api/incidents/{incident}/resolve", {})
    got.wait("its end", 4)
    # The same in Watchfire's own form.
    server.ask(f"/api/channels/{channel}", {"settings": {"format": "watchfire-v1"}}, method="PATCH")
    other = server.open(TITLE, service="till")
    told = [g for g in got.wait("the message in the other form", 6) if g[0] == "POST"]
    server.ask(f"/api/rules/{rule}", method="DELETE")
    receiver.shutdown()
    keys = set()
    for _, _, headers, body, _ in told:
        stamp = headers["x-watchfire-timestamp"]
        right = hmac.new(SIGNING.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        same("the signature", headers["x-watchfire-signature"], f"sha256={right}")
        holds("its moment is now", abs(time.time() - int(stamp)) < 300)
        holds("its kind", headers["content-type"].startswith("application/json"))
        holds("who sends", headers["user-agent"].startswith("Watchfire/"))
        keys.add(headers["x-watchfire-delivery"])
    same("each has a key of its own", len(keys), len(told))
    same("events", [h["x-watchfire-event"] for _, _, h, _, _ in told], ["test", "opened", "resolved", "opened"])
    test, opened, resolved, own = (json.loads(body) for _, _, _, body, _ in told)
    same("a test", (test["title"], bool(test["token"])), ("Test Notification", True))
    for body, severity in ((opened, "critical"), (resolved, "clear")):
        jsonschema.validate(body, NETDATA)
        same("severity", body["severity"], severity)
        holds(f"the title: {body}", TITLE in body["message"])
    same("Watchfire's form", (own["version"], own["event"], own["test"], own["incident"]["id"]), (1, "opened", False, other))
    print("TLS with a CA of the house and a client certificate, HMAC by Python, jsonschema: signed webhook", flush=True)


def slack(server):
    """slack_sdk signs the press of a button, and says that the signature is right."""
    from slack_sdk.signature import SignatureVerifier

    got = Waiting()

    class Api(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.put((self.path, self.headers["authorization"], body))
            said = json.dumps({"ok": True, "channel": "C1", "ts": "17.01"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    settings = {"mode": "bot", "token": "xoxb-1", "channel": "C1", "signing_secret": SLACK,
                "api": f"http://127.0.0.1:{api.server_address[1]}/api"}
    channel = server.make("channels", {"name": "slack", "kind": "slack", "settings": settings})
    rule = server.make("rules", {"name": "Slack", "events": ["opened"], "targets": [{"channel": channel}]})
    incident = server.open("Kasse steht", service="till-2")
    path, who, message = got.wait("the message", 1)[0]
    same("the call", (path, who), ("/api/chat.postMessage", "Bearer xoxb-1"))
    blocks = message["attachments"][0]["blocks"]
    button = next(e for b in blocks for e in b.get("elements", []) if e.get("action_id") == "watchfire_ack")
    payload = {"type": "block_actions", "user": {"id": "U1", "username": "zoe"}, "actions": [button],
               "container": {"type": "message_attachment", "message_ts": "17.01", "channel_id": "C1"}}
    body = urllib.parse.urlencode({"payload": json.dumps(payload)})
    verifier = SignatureVerifier(SLACK)

    def press(stamp, signature):
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature,
                   "content-type": "application/x-www-form-urlencoded"}
        request = urllib.request.Request(f"{server.url}/api/channels/{channel}/interactions", body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, b""

    now = str(int(time.time()))
    signature = verifier.generate_signature(timestamp=now, body=body)
    holds("slack_sdk takes its own", verifier.is_valid(body, now, signature))
    wrong = SignatureVerifier("another").generate_signature(timestamp=now, body=body)
    old = str(int(time.time()) - 301)
    for stamp, refused in ((now, wrong), (old, verifier.generate_signature(timestamp=old, body=body))):
        same("slack_sdk says", verifier.is_valid(body, stamp, refused), False)
        same("and Watchfire", press(stamp, refused)[0], 401)
    same("nobody has it", server.ask(f"/api/incidents/{incident}")["owner"], None)
    same("the press", press(now, signature), (200, b""))
    same("its owner", server.ask(f"/api/incidents/{incident}")["owner"], "zoe (slack)")
    path, _, changed = got.wait("the change of the message", 2)[1]
    same("the change", (path, changed["ts"], changed["channel"]), ("/api/chat.update", "17.01", "C1"))
    holds(f"it says who: {changed}", "Acknowledged by zoe" in json.dumps(changed) and "watchfire_ack\"" not in json.dumps(changed))
    server.ask(f"/api/rules/{rule}", method="DELETE")
    api.shutdown()
    print("slack_sdk's SignatureVerifier: the press of a button", flush=True)
