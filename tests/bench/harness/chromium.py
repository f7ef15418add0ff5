"""Chromium, driven over WebDriver: pages as a reader has them."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")


def found():
    """The browser and its driver, or none."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Chromium:
    """A browser with an empty profile."""

    def __init__(self, width=1440, height=900):
        browser, driver = found()
        self.profile = tempfile.TemporaryDirectory()
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "successfully on port" in line:
                self.port = int(line.rsplit(" ", 1)[1].strip().rstrip("."))
                break
        arguments = [
            "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--window-size={width},{height}", f"--user-data-dir={self.profile.name}",
        ]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        options = {"browserName": "chrome", "goog:chromeOptions": {"binary": browser, "args": arguments}}
        self.session = ""
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path if path == "/session" else self.session + path, json.dumps(body or {}))
        answer = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{path}: {answer['message'][:300]}")
        return answer

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def js(self, expression):
        return self.ask("POST", "/execute/sync", {"script": f"return ({expression})", "args": []})

    def until(self, expression, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                value = self.js(expression)
            except RuntimeError:
                value = None  # One page gives way to the next.
            if value:
                return value
            time.sleep(0.005)
        raise RuntimeError(f"{expression} did not come")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "")
        except (OSError, RuntimeError):
            pass  # It has ended by itself.
        self.driver.terminate()
        self.driver.wait()
        self.profile.cleanup()
