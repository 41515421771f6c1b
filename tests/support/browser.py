"""A headless Chromium, spoken to over its DevTools pipe: no driver, no library.

It is found on the PATH; Debian has it as the package ``chromium``.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONGEST = 30.0  # seconds
MISSING = "there is no Chromium on the PATH (Debian: apt-get install chromium)"

# Programs get their descriptors as they are numbered here; it expects its pipe at 3 and 4.
_PLUG = """
import os, sys
first, second = (os.dup(os.dup(int(number))) for number in sys.argv[1:3])
os.dup2(first, 3), os.dup2(second, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """The program; None: there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class BrowserError(Exception):
    """The browser refused a command, or a script on the page failed."""


class Browser:
    """A browser with one page, as a context manager. It blocks."""

    def __init__(self, width: int = 1280, height: int = 800) -> None:
        self._size = (width, height)
        self._profile = tempfile.mkdtemp(prefix="tenantpool-browser-")
        self._number = 0
        self._session: str | None = None
        self._unread = b""
        self.console: list[str] = []
        """What the page complained of: errors of scripts, and what its policy refused."""

    def __enter__(self) -> Self:
        path = find_browser()
        assert path is not None, MISSING
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
            *("--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe"),
            *(f"--user-data-dir={self._profile}", "about:blank"),
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PLUG, str(theirs_in), str(theirs_out), path, *options],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            self._attach()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(*self._size)

    def _end(self) -> None:
        self._session = None
        try:
            self.call("Browser.close")
        except (BrowserError, OSError, TimeoutError):
            self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    # -- the page --------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        found = self.call("Page.navigate", url=url)
        if "errorText" in found:
            raise BrowserError(f"{url}: {found['errorText']}")
        self.wait_for("document.readyState === 'complete'")

    def resize(self, width: int, height: int, *, scale: float = 1, dark: bool = False) -> None:
        """Be a window of that size (a phone if it is narrow), with that taste."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def value(self, script: str) -> Any:
        """What the expression *script* gives; promises are waited for."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def text(self, selector: str) -> str:
        """What is written in the first element that fits."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def wait_for(self, script: str, timeout: float = LONGEST) -> None:
        """Wait until the expression *script* is true."""
        deadline = time.monotonic() + timeout
        while not self._is_true(script):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"waited {timeout:g} s in vain: {script}")
            time.sleep(0.02)

    def _is_true(self, script: str) -> bool:
        try:
            return bool(self.value(f"!!({script})"))
        except BrowserError:
            return False  # between two pages

    def click(self, selector: str) -> None:
        """Click with the mouse in the middle of the first element that fits."""
        name = json.dumps(selector)
        self.wait_for(f"document.querySelector({name})")
        place = self.value(
            f"(() => {{ const it = document.querySelector({name});"
            " it.scrollIntoView({block: 'center'}); const r = it.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="left",
                clickCount=1,
            )

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key, such as ``Tab`` (9), or ``Enter`` (13) with the text ``\\r``."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of the window, or of the *whole* page, as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    # -- the pipe --------------------------------------------------------------------------------

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command of the DevTools protocol, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            return dict(answer["result"])

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.console.append(str(details.get("exception", details).get("description")))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.console.append(parameters["entry"]["text"])

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + LONGEST
        while b"\0" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise BrowserError("the browser has ended")
            self._unread += chunk
        text, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(text))
