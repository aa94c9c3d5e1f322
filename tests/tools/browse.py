#!/usr/bin/env python3
"""Opens pages in headless Chromium, as phones and desktops do, and tells what is wrong with them.

    browse.py AXE.JS FOLDER PAGE…

Prints JSON: an object a page, size of window and color scheme, with console messages, addresses
that were asked for, whether it scrolls sideways, and the violations that axe-core finds. FOLDER gets
a screenshot of each. Speaks the DevTools protocol over a pair of pipes, and needs nothing but
Python and Chromium.
"""

import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# What one step may take, on a machine that does much else.
SECONDS = 300
WINDOWS = {"phone": (360, 740, True), "desktop": (1280, 900, False)}
# A screenshot is not taller than what a picture may be.
MAX_HEIGHT = 12000

AXE = """
new Promise(done => axe.run(document, {resultTypes: ["violations", "incomplete"]}).then(found => done({
  violations: found.violations.map(one => ({
    id: one.id, impact: one.impact, help: one.help,
    nodes: one.nodes.slice(0, 5).map(node => node.html.slice(0, 200) + " " + node.failureSummary),
  })),
  passes: found.passes.length,
  incomplete: found.incomplete.map(one => one.id + ": " + one.nodes.slice(0, 2).map(node => node.html.slice(0, 120)).join(" | ")),
})))
"""

WIDE = """
(() => {
  const page = document.scrollingElement, wide = [];
  if (page.scrollWidth > page.clientWidth)
    for (const one of document.querySelectorAll("body *"))
      if (one.getBoundingClientRect().right > page.clientWidth + 1)
        wide.push(one.outerHTML.slice(0, 120));
  return {scroll: page.scrollWidth, client: page.clientWidth, height: page.scrollHeight, wide: wide.slice(0, 8)};
})()
"""


# axe-core looks at every element that can be seen, and takes a minute for a thousand rows. Of those in a
# table, a list or a drawing that consist of the same kinds of elements, two are left.
THIN = """
for (const parent of document.querySelectorAll("tbody, svg, ul")) {
  const seen = new Map();
  for (const one of [...parent.children]) {
    const parts = [one, ...one.querySelectorAll("*")];
    const make = [...new Set(parts.map(part => part.localName + "." + part.getAttribute("class")))].sort().join();
    const count = (seen.get(make) || 0) + 1;
    seen.set(make, count);
    if (count > 2) one.remove();
  }
}
"""


class Browser:
    """A Chromium that is told what to do through its descriptors 3 and 4."""

    def __init__(self, profile):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            sys.exit("chromium is not in PATH: tests/setup.sh installs it")
        theirs_in, self.to = os.pipe()
        self.back, theirs_out = os.pipe()

        def descriptors():
            # Out of the way first: either may be 3 or 4.
            spare_in, spare_out = os.dup(theirs_in), os.dup(theirs_out)
            high_in, high_out = 100, 101
            os.dup2(spare_in, high_in)
            os.dup2(spare_out, high_out)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-extensions", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--mute-audio", "--force-color-profile=srgb",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
        ]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program, *flags], preexec_fn=descriptors, close_fds=False, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            # Settings, fonts and services of whoever runs the tests are none of a page.
            env={"PATH": os.environ["PATH"], "HOME": profile, "TMPDIR": profile, "LC_ALL": "C.UTF-8"},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.numbers = itertools.count(1)
        self.buffer = b""
        self.events = []

    def message(self, until):
        while b"\0" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise TimeoutError(f"Chromium took more than {SECONDS} s for one step")
            piece = os.read(self.back, 1 << 20)
            if not piece:
                self.log.seek(0)
                raise EOFError(self.log.read()[-2000:].decode(errors="replace"))
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        until = time.monotonic() + SECONDS
        while True:
            answer = self.message(until)
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def wait(self, method, session):
        until = time.monotonic() + SECONDS
        while True:
            for index, event in enumerate(self.events):
                if event.get("method") == method and event.get("sessionId") == session:
                    return self.events.pop(index)
            self.events.append(self.message(until))

    def evaluate(self, session, expression):
        answer = self.call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def close(self):
        # With its helpers, which write into the profile until they are gone.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def look(browser, axe, folder, page, window, scheme):
    width, height, phone = WINDOWS[window]
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=phone)
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.call("Emulation.setEmulatedMedia", session, features=features)
    browser.call("Page.navigate", session, url=page.resolve().as_uri())
    browser.wait("Page.loadEventFired", session)
    begin = time.monotonic()
    as_loaded = browser.evaluate(session, WIDE)
    shot = browser.call(
        "Page.captureScreenshot", session, format="png", captureBeyondViewport=True,
        clip={"x": 0, "y": 0, "width": width, "height": min(as_loaded["height"], MAX_HEIGHT), "scale": 1},
    )
    picture = folder / f"{page.stem}-{window}-{scheme}.png"
    picture.write_bytes(base64.b64decode(shot["data"]))
    browser.evaluate(session, 'for (const one of document.querySelectorAll("details")) one.open = true')
    opened = browser.evaluate(session, WIDE)
    told = [event for event in browser.events if event.get("sessionId") == session]
    found = {"violations": [], "passes": None}
    # Both sizes and both schemes.
    if (window, scheme) in (("phone", "dark"), ("desktop", "light")):
        browser.evaluate(session, THIN)
        browser.evaluate(session, axe + "\n;0")
        found = browser.evaluate(session, AXE)
    browser.call("Target.closeTarget", targetId=target)
    messages, asked = [], []
    for event in told:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                messages.append(json.dumps(params)[:500])
            case "Log.entryAdded":
                messages.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                asked.append(params["request"]["url"][:200])
    return {
        "page": page.name, "window": window, "scheme": scheme, "messages": messages, "asked": asked,
        "wide": [state for state in (as_loaded, opened) if state["scroll"] > state["client"]],
        "height": as_loaded["height"], "seconds": round(time.monotonic() - begin, 1), **found,
    }


def main():
    axe, folder, *pages = map(pathlib.Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    script = axe.read_text()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            results = [
                look(browser, script, folder, page, window, scheme)
                for page in pages for window in WINDOWS for scheme in ("light", "dark")
            ]
        finally:
            browser.close()
    json.dump(results, sys.stdout, indent=1)


main()
