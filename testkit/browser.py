"""Headless Chromium, driven by its DevTools protocol through two pipes: no port, no driver, no package.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any, Final, Self

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS: Final = 60.0
_OPTIONS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-breakpad",
    "--force-color-profile=srgb",
    # Whatever a page, or the browser itself, asks of another machine does not even find its address. One name leads
    # here, as somebody's who means to read what is served on this machine alone.
    "--host-resolver-rules=MAP rebound.test 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--proxy-server=direct://",
    "--remote-debugging-pipe",
)  # fmt: skip


class PageError(Exception):
    """A script that was run in a page threw."""


def find_browser() -> str | None:
    """The path of a Chromium or Chrome of this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with an empty profile, which ends with the block."""

    def __init__(self, path: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="stepvec-browser-", ignore_cleanup_errors=True)
        told_read, told_write = os.pipe()
        asked_read, asked_write = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$@" 3<&{asked_read} 4>&{told_write}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "bash", path, *_OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(asked_read, told_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asked_read)
        os.close(told_write)
        self._asked: IO[bytes] = os.fdopen(asked_write, "wb")
        self._told: IO[bytes] = os.fdopen(told_read, "rb")
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._number = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(timeout=10)
        except (OSError, queue.Empty, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def open(self, address: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> Tab:
        """A new tab of a window of this size, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._events[session] = []
        tab = Tab(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height, phone=width < 640)
        tab.prefer(dark=dark)
        tab.load(address)
        return tab

    def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        """What the browser answers to a command. Raises PageError where it refuses it."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._answers[number] = queue.Queue()
        self._asked.write(json.dumps(message).encode() + b"\0")
        self._asked.flush()
        answer = self._answers[number].get(timeout=_SECONDS)
        del self._answers[number]
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def events(self, session: str) -> list[dict[str, Any]]:
        """What a tab has told by itself so far."""
        return self._events[session]

    def _listen(self) -> None:
        rest = b""
        while block := os.read(self._told.fileno(), 1 << 20):
            *messages, rest = (rest + block).split(b"\0")
            for text in messages:
                message = json.loads(text)
                if "id" in message:
                    self._answers[message["id"]].put(message)
                elif message.get("sessionId") in self._events:
                    self._events[message["sessionId"]].append(message)


class Tab:
    """A page as a person has it before them."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target

    def call(self, method: str, **parameters: Any) -> Any:
        """As Browser.call, for this tab."""
        return self._browser.call(method, self._session, **parameters)

    def load(self, address: str) -> None:
        """Go to an address, and wait until all of it is there."""
        self.call("Page.navigate", url=address)
        self.wait_for(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def resize(self, width: int, height: int, *, phone: bool) -> None:
        """Make the window of this size; a phone's has fingers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def prefer(self, *, dark: bool) -> None:
        """Have the system prefer dark or light colours."""
        value = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def run(self, script: str) -> Any:
        """The value of a script, awaited if it is a promise. Raises PageError where it throws."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, script: str, *, seconds: float = 20.0) -> Any:
        """The value of a script, once it is true. Raises AssertionError where it does not become so."""
        end = time.monotonic() + seconds
        while True:
            try:
                if value := self.run(script):
                    return value
            except PageError:
                # While another page loads there is none to ask.
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                raise AssertionError(f"it did not become true: {script}")
            time.sleep(0.03)

    def click(self, selector: str) -> None:
        """Press the mouse's button in the middle of the first element of a CSS selector."""
        place = f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
        x, y = self.run(place + "return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        self.click_at(x, y)

    def click_at(self, x: float, y: float) -> None:
        """Press the mouse's button at a point of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str) -> None:
        """Press a key, by its name in JavaScript."""
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}
        common = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        if text:
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        else:
            self.call("Input.dispatchKeyEvent", type="rawKeyDown", **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, quality: int | None = None) -> None:
        """Write what is seen to a file: PNG, or WebP of `quality`."""
        options = {"format": "png"} if quality is None else {"format": "webp", "quality": quality}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))

    def problems(self) -> list[str]:
        """What the console shows as an error or a warning: exceptions, refusals of the policy, requests that failed."""
        found = []
        for event in self._browser.events(self._session):
            method, said = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                details = said["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
                found.append(str(said["args"]))
            elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
                found.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        return found

    def requested(self) -> list[str]:
        """The addresses that the page has asked for."""
        events = self._browser.events(self._session)
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
