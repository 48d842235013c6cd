"""A web server on this machine, with files that a test can change, and the faults that servers have."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Web:
    """A running server."""

    def __init__(self, url: str, files: dict[str, bytes]) -> None:
        self.url = url
        self.files = files
        """Content by path, without the first slash."""
        self.ranges = True
        """Whether it can give a part of a file."""
        self.ends_after: int | None = None
        """Number of bytes after which the connection ends; None: of all."""
        self.requests: list[str] = []
        """Paths that were asked for, with the range where there was one: `a.pth`, `a.pth bytes=7-`."""


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Web]:
    """A server of these files; `moved/PATH` redirects to `PATH`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, asked = self.path.removeprefix("/"), self.headers.get("Range", "")
            web.requests.append(f"{path} {asked}".strip())
            if path.startswith("moved/"):
                self.answer(302, b"", Location=f"/{path.removeprefix('moved/')}")
            elif path not in web.files:
                self.answer(404, b"there is nothing")
            elif asked and web.ranges:
                content, first = web.files[path], int(asked.removeprefix("bytes=").removesuffix("-"))
                there = f"bytes {first}-{len(content) - 1}/{len(content)}"
                if first < len(content):
                    self.answer(206, content[first:], **{"Content-Range": there})
                else:
                    self.answer(416, b"")
            else:
                self.answer(200, web.files[path])

        def answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: web.ends_after])

        def log_message(self, *_: object) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}", files)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()  # looks as often for the end [s]
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
