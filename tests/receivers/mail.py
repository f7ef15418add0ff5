"""Mail."""

import email
import email.policy
import logging
import warnings

from common import TITLE, Waiting, free_port, holds, same

LONG = "Zeile mit Umlauten äöü und ohne Ende " * 60


def mail(server, house):
    """aiosmtpd with STARTTLS and AUTH, both demanded; Python's e-mail package reads what came."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult, LoginPassword

    # It says of each broken handshake where, which is what is tried here.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    got = Waiting()

    class Inbox:
        async def handle_DATA(self, _server, session, envelope):
            got.put((session, envelope))
            return "250 2.0.0 taken"

    def authenticator(_server, _session, _envelope, mechanism, given):
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"watchfire", "pässword".encode())
        # What is not handled is answered by the library: 535.
        return AuthResult(success=right, handled=right, auth_data=mechanism)

    inbox = Controller(
        Inbox(), hostname="127.0.0.1", port=free_port(), tls_context=house.context(), require_starttls=True,
        authenticator=authenticator, auth_required=True, decode_data=False,
    )
    inbox.start()
    settings = {
        "host": "localhost", "port": str(inbox.port), "security": "starttls", "user": "watchfire", "password": "pässword",
        "from": "Wächter <watchfire@example.com>", "to": "ops@example.com, Ada <ada@example.com>", "ca": house.pem,
    }
    channel = server.make("channels", {"name": "mail", "kind": "email", "settings": settings})
    server.try_channel(channel)
    # Neither without trust in that CA nor with another password.
    for key, value, word in [("ca", "", "certificate"), ("password", "wrong", "535")]:
        wrong = {"name": f"mail-{key}", "kind": "email", "settings": {**settings, key: value}}
        tested = server.ask(f"/api/channels/{server.make('channels', wrong)}/test", {})
        holds(f"mail with another {key}: {tested}", not tested["ok"] and word in tested["said"].lower())
    # A key of one service takes that service's incidents to the mail alone.
    rule = {"name": "Mail", "events": ["opened", "acknowledged", "resolved"], "targets": [{"channel": channel}]}
    rule = server.make("rules", rule)
    body = {"id": "m1", "title": TITLE, "description": LONG + "\n.\nline\r\nover", "service": "db", "host": "db-1",
            "severity": "critical"}
    key = server.ask("/api/connectors/generic/reveal-key", {})["key"]
    server.ask(f"/api/webhooks/generic/{key}", body)
    got.wait("the first mail", 2)
    incident = server.ask("/api/incidents")["incidents"][0]["id"]
    server.ask(f"/api/incidents/{incident}/acknowledge", {})
    got.wait("the mail that it was taken", 3)
    server.ask(f"/api/incidents/{incident}/resolve", {"reason": "Platz gemacht."})
    all_mails = got.wait("the mail of the end", 4)[1:]
    server.ask(f"/api/rules/{rule}", method="DELETE")
    inbox.stop()
    threads = []
    for n, (session, envelope) in enumerate(all_mails):
        same("who signed in, and how", session.auth_data in ("PLAIN", "LOGIN"), True)
        holds("the mail came encrypted", session.ssl is not None)
        same("sender and recipients", (envelope.mail_from, envelope.rcpt_tos),
             ("watchfire@example.com", ["ops@example.com", "ada@example.com"]))
        raw = envelope.content
        lines = raw.split(b"\r\n")
        holds("lines end as they should and are short", all(len(l) <= 998 and b"\n" not in l and b"\r" not in l for l in lines))
        holds("headers are ASCII", raw.split(b"\r\n\r\n")[0].isascii())
        read = email.message_from_bytes(raw, policy=email.policy.default)
        same("defects", [read.defects, [p.defects for p in read.walk()]], [[], [[] for _ in read.walk()]])
        same("parts", [p.get_content_type() for p in read.walk()], ["multipart/alternative", "text/plain", "text/html"])
        same("the sender's name", read["from"].addresses[0].display_name, "Wächter")
        text, html = (read.get_body((kind,)).get_content() for kind in ("plain", "html"))
        holds(f"the title stands in the text: {text}", TITLE in text)
        holds(f"and is escaped in HTML: {html}", "&lt;b&gt;über&lt;/b&gt;" in html and "<b>über" not in html)
        holds("umlauts arrive", "äöü und ohne Ende" in text and "äöü und ohne Ende" in html)
        subject = f"[{incident}] Critical: {TITLE}"
        same("subject", read["subject"], subject if n == 0 else f"Re: {subject}")
        holds("subject is short", len(read["subject"]) <= 200)
        same("automatic", (read["auto-submitted"], read["x-auto-response-suppress"]), ("auto-generated", "All"))
        same("for filters", (read["x-watchfire-incident"], read["x-watchfire-service"], read["x-watchfire-host"]),
             (incident, "db", "db-1"))
        holds("it is of a list and has a date", read["list-id"] and read["date"].datetime)
        threads.append((read["message-id"], read["in-reply-to"], read["references"]))
    first = threads[0][0]
    same("the first answers none", threads[0][1:], (None, None))
    holds(f"its id is that of the incident: {first}", first.startswith(f"<incident-{incident}.opened@"))
    same("the others answer it", [t[1:] for t in threads[1:]], [(first, first)] * 2)
    same("each has an id of its own", len({t[0] for t in threads}), 3)
    print("aiosmtpd and Python's e-mail package: STARTTLS, AUTH, alternatives, threads", flush=True)
