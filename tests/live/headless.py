"""A headless Chromium, driven over its DevTools protocol."""

import base64
import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect


@functools.cache
def chromium_path() -> str | None:
    """The browser, by any of its names; None where there is none that starts: Ubuntu's package may be a mere hint."""
    for path in filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


class Tab:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> None:
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60.0) -> Any:
        """The first true value of an expression."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.value(expression)
            if value:
                return value
            time.sleep(0.1)
        text = self.value("document.body.innerText")
        raise AssertionError(f"{expression} was not true within {seconds} s; the page says: {text}")

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def screenshot(self, path: Path, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def browser(folder: Path, clip: Path | None = None) -> Iterator[Tab]:
    """A browser with an empty profile in the folder, and its one page.

    Args:
        folder: for the profile.
        clip: a .y4m or .mjpeg file that its camera shows.
    """
    program = chromium_path()
    assert program is not None
    options = [
        "--headless=new",
        "--no-sandbox",  # which root and containers cannot have
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--enable-unsafe-swiftshader",  # WebGL without a graphics card
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ]
    if clip is not None:
        options.append(f"--use-file-for-fake-video-capture={clip}")
    process = subprocess.Popen(
        [program, *options, "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        port = _debugging_port(folder, process)
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            address = next(tab for tab in json.load(answer) if tab["type"] == "page")["webSocketDebuggerUrl"]
        with connect(address, max_size=None) as connection:
            yield Tab(connection)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _debugging_port(folder: Path, process: subprocess.Popen[bytes]) -> int:
    """Chromium writes the port that it has taken to a file."""
    file, end = folder / "DevToolsActivePort", time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, f"Chromium has ended with status {process.returncode}"
        if file.exists() and file.read_text().strip():
            return int(file.read_text().splitlines()[0])
        time.sleep(0.1)
    raise AssertionError("Chromium has not opened its debugging port within a minute")
