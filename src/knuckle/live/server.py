"""The server of the live page: static files, and a websocket for each page, on one port of this machine."""

import asyncio
import contextlib
import errno
import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from knuckle.handmodel import HandModel
from knuckle.image.read import PictureError
from knuckle.live.access import Gate
from knuckle.live.messages import error_message, hello_message, status_message
from knuckle.live.sources import Source
from knuckle.live.stream import FindOptions, FoundFrame, HandStream, Tracker, find_in_picture

# A picture of 16 megapixels as JPEG; what is larger ends the connection.
MAX_MESSAGE_BYTES = 8_000_000
# Each may have a camera and a tracker of its own.
MAX_PAGES = 8

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/live.css": ("live.css", "text/css; charset=utf-8"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/camera.js": ("camera.js", "text/javascript; charset=utf-8"),
    "/cards.js": ("cards.js", "text/javascript; charset=utf-8"),
    "/picture.js": ("picture.js", "text/javascript; charset=utf-8"),
    "/scene.js": ("scene.js", "text/javascript; charset=utf-8"),
}
_WEBSOCKET = "/ws"


@dataclass(frozen=True)
class ServerOptions:
    """Where the server listens, and whom it answers.

    Attributes:
        host: address to listen at.
        port: to listen at; a free one is taken where it is not free.
        allow_origins: see Gate.
        find: how hands are looked for.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    allow_origins: Sequence[str] = ()
    find: FindOptions = field(default_factory=FindOptions)


class _Page:
    """What one page has been sent of the source."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.changed.set()
        self.ready = True
        self.number = 0
        self.trouble = ""


class LiveServer:
    """Shows the hands that a source sees, and finds those in pictures that pages send.

    A page is sent the newest frame when it has drawn the one before, so that a slow page delays neither itself nor
    the others.

    Args:
        make_tracker: makes one for the source and one for each page that sends pictures.
        model: whose mesh the hands have.
        source: of frames; None where only pages send them.
        options: where to listen and how to look.
        say: called with every line for the terminal.
    """

    def __init__(
        self,
        make_tracker: Callable[[], Tracker],
        model: HandModel,
        source: Source | None,
        options: ServerOptions,
        say: Callable[[str], None] = print,
    ) -> None:
        self._make_tracker = make_tracker
        self._source = source
        self._options = options
        self._say = say
        self._hello = hello_message(model, source and source.name, source is not None and source.mirrored)
        self._token = secrets.token_urlsafe(16)
        self._gate = Gate(options.host, options.port, self._token, options.allow_origins)
        self._pages: set[_Page] = set()
        self._connections = 0
        self._latest: FoundFrame | None = None
        self._trouble = ""
        self._stream: HandStream | None = None

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Serves until it is cancelled.

        Args:
            on_ready: called with the page's address.

        Raises:
            OSError: the address cannot be listened at.
            Exception: what has ended the search for hands.
        """
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        server = await self._listen()
        port = server.sockets[0].getsockname()[1]
        self._gate = Gate(self._options.host, port, self._token, self._options.allow_origins)
        try:
            self._start_stream(failed)
            on_ready(self._gate.url)
            await failed
        finally:
            self._stop_stream()
            server.close()
            await server.wait_closed()

    async def _listen(self) -> Server:
        # With its own log a port scan would write tracebacks to the terminal.
        log = logging.Logger("knuckle.live", logging.CRITICAL)
        for port in (self._options.port, 0):
            try:
                return await serve(
                    self._handle,
                    self._options.host,
                    port,
                    process_request=self._respond,
                    max_size=MAX_MESSAGE_BYTES,
                    compression=None,  # pictures are compressed already
                    max_queue=2,
                    close_timeout=1,
                    logger=log,
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE or port == 0:
                    raise OSError(f"{self._options.host}:{port} cannot be listened at ({error.strerror})") from error
                self._say(f"port {port} is taken; taking a free one")
        raise AssertionError("port 0 is never taken")

    def _start_stream(self, failed: "asyncio.Future[None]") -> None:
        """Threads hand their results to the event loop, where all of this object's state lives."""
        if self._source is None:
            return
        loop = asyncio.get_running_loop()

        def from_thread(call: Callable[[Any], None]) -> Callable[[Any], None]:
            def hand_over(value: Any) -> None:
                # The loop may have been closed before a thread has seen that it is to end.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(call, value)

            return hand_over

        def fail(error: Exception) -> None:
            if not failed.done():
                failed.set_exception(error)

        self._stream = HandStream(
            self._source, self._make_tracker(), self._options.find, from_thread(self._publish), from_thread(fail)
        )
        self._source.start(from_thread(self._change_trouble))
        self._stream.start()

    def _stop_stream(self) -> None:
        if self._stream is not None:
            self._stream.stop()
        if self._source is not None:
            self._source.stop()

    def _publish(self, frame: FoundFrame) -> None:
        self._latest = frame
        self._wake()

    def _change_trouble(self, text: str) -> None:
        self._say(text or f"{self._source.name if self._source else 'the source'} is back")
        self._trouble = text
        self._wake()

    def _wake(self) -> None:
        for page in self._pages:
            page.changed.set()

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to an HTTP request; None lets a websocket begin."""
        path = urlsplit(request.path).path
        websocket = path == _WEBSOCKET
        refusal = self._gate.refusal(
            request.path, request.headers, secret=websocket or path == "/", websocket=websocket
        )
        if refusal is not None:
            return _response(refusal.status, "text/plain; charset=utf-8", f"knuckle: {refusal.text}\n".encode())
        if websocket:
            return None
        if path not in _FILES:
            return _response(404, "text/plain; charset=utf-8", b"knuckle: there is no such file\n")
        name, kind = _FILES[path]
        return _response(200, kind, (resources.files("knuckle.live") / "page" / name).read_bytes())

    async def _handle(self, connection: ServerConnection) -> None:
        if self._connections >= MAX_PAGES:
            await connection.close(1013, f"at most {MAX_PAGES} pages; close one")
            return
        self._connections += 1
        try:
            await connection.send(self._hello)
            query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
            if query.get("camera") == ["browser"]:
                await self._answer(connection)
            else:
                await self._show(connection)
        except ConnectionClosed:
            pass  # a page may go at any time
        finally:
            self._connections -= 1

    async def _show(self, connection: ServerConnection) -> None:
        """Sends the source's frames to a page."""
        page = _Page()
        self._pages.add(page)
        self._watch()
        sender = asyncio.create_task(self._send(connection, page))
        try:
            async for message in connection:
                said = _parsed(message)
                if said.get("type") == "shown":
                    page.ready = True
                    page.changed.set()
                else:
                    await self._reply(connection, said)
        finally:
            self._pages.discard(page)
            self._watch()
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await sender

    async def _send(self, connection: ServerConnection, page: _Page) -> None:
        while True:
            await page.changed.wait()
            page.changed.clear()
            if page.trouble != self._trouble:
                page.trouble = self._trouble
                await connection.send(status_message(page.trouble))
            latest = self._latest
            if latest is not None and page.ready and latest.number > page.number:
                page.ready, page.number = False, latest.number
                await connection.send(latest.message)

    def _watch(self) -> None:
        """Hands are looked for only while a page is open."""
        if self._stream is None:
            return
        if self._pages:
            self._stream.watched.set()
        else:
            self._stream.watched.clear()

    async def _answer(self, connection: ServerConnection) -> None:
        """Finds the hands in a page's pictures, one after the other."""
        tracker, number = self._make_tracker(), 0
        async for message in connection:
            if isinstance(message, str):
                await self._reply(connection, _parsed(message))
                continue
            number += 1
            try:
                answer = await asyncio.to_thread(find_in_picture, tracker, message, number, self._options.find)
            except PictureError as error:
                answer = error_message(f"a frame of the browser's camera {error}")
            await connection.send(answer)

    async def _reply(self, connection: ServerConnection, said: dict[str, Any]) -> None:
        if said.get("type") == "clock" and isinstance(said.get("page"), int | float):
            answer = {"type": "clock", "page": said["page"], "server": time.monotonic() * 1000}
            await connection.send(json.dumps(answer))


def _parsed(message: str | bytes) -> dict[str, Any]:
    """A page's text; an empty one where it is no JSON object."""
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _response(status: int, kind: str, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            # Everything comes from this server. data: is the empty icon; connect-src for browsers whose 'self' leaves
            # websockets out is the page's own address, checked by the gate.
            "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; "
            "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
