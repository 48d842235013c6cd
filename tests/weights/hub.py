"""A Hugging Face hub on this machine: as much of its protocol as downloads and small uploads need."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What the branch `main` of every repository here is at."""


class Hub:
    """The address of a running hub, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []


@contextmanager
def serve(files: dict[str, bytes], *, damaged: bool = False) -> Iterator[Hub]:
    """A hub with these files, by `OWNER/REPO/FILE`.

    Args:
      files: content by name; what is uploaded is added.
      damaged: what arrives has its last byte changed, under the checksum of the true content.
    """
    made: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.headers.get("Authorization"):
                return self.refuse(401, "Unauthorized")
            if self.path == "/api/repos/create":
                wanted = json.loads(data)
                name = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
                made.add(name)
                return self.tell({"url": f"{hub.url}/{name}"})
            if self.path == "/api/validate-yaml":  # of a card
                return self.tell({"errors": [], "warnings": []})
            repository = self.path.removeprefix("/api/models/").rsplit("/", 2)[0]
            if "/preupload/" in self.path:
                asked = json.loads(data)["files"]
                modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in asked]
                return self.tell({"files": modes})
            for line in map(json.loads, data.splitlines()):
                if line["key"] == "file":
                    files[f"{repository}/{line['value']['path']}"] = base64.b64decode(line["value"]["content"])
            self.tell({"commitUrl": f"{hub.url}/{repository}/commit/{COMMIT}", "commitOid": COMMIT})

        def tell(self, answer: dict[str, object]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def answer(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            repository, _, place = self.path.removeprefix("/").partition("/resolve/")
            revision, _, file = place.partition("/")
            content = files.get(f"{repository}/{file}")
            if repository not in made | {name.rsplit("/", 1)[0] for name in files}:
                self.refuse(401, "RepoNotFound")
            elif revision not in ("main", COMMIT):
                self.refuse(404, "RevisionNotFound")
            elif content is None:
                self.refuse(404, "EntryNotFound")
            else:
                self.send_response(200)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("ETag", '"of the storage behind"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content[:-1] + bytes([content[-1] ^ 1]) if damaged else content)

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()  # looks as often for the end [s]
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
