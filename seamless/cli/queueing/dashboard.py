"""The dashboard of a queue: one plain page on the loopback interface, for who knows its secret address.

`/<secret>/` lists the steps, `/<secret>/log/N` is the log of one, `/<secret>/status.json` the list for programs.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from seamless.cli.queueing.display import counted, existing_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seamless.cli.queueing.job import Job

_REFRESH = 2  # seconds
_LOG_BYTES = 1 << 20
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = (
    "body{font-family:sans-serif}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .5em;"
    "text-align:left}.failed,.blocked{background:#fcc}.running{background:#ffc}.done{background:#cfc}"
)


class Dashboard:
    """Serves the page by a thread while in the `with` block. `port` 0: any free one. OSError if it is taken."""

    def __init__(self, jobs: Mapping[int, Job], logs: str, title: str, port: int = 0):
        self._jobs, self._logs, self._title = jobs, logs, title
        self._secret = secrets.token_urlsafe(16)
        dashboard = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = dashboard.answer(self.path)
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_HEADERS}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the terminal belongs to the progress."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="seamless-dashboard", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{self._secret}/"

    def __enter__(self) -> Dashboard:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a request."""
        secret, _, rest = path.lstrip("/").partition("/")
        if not secrets.compare_digest(secret.encode(), self._secret.encode()):
            return 404, "text/plain", b"not found\n"
        if rest == "":
            return 200, "text/html; charset=utf-8", self._page().encode()
        if rest == "status.json":
            rows = [job.as_dict() for job in list(self._jobs.values())]
            return 200, "application/json", json.dumps(rows).encode()
        if rest.startswith("log/") and rest[4:].isdigit() and int(rest[4:]) in self._jobs:
            return 200, "text/plain; charset=utf-8", self._log(self._jobs[int(rest[4:])])
        return 404, "text/plain", b"not found\n"

    def _log(self, job: Job) -> bytes:
        path = existing_log(self._logs, job)
        if path is None:
            return b"this job has printed nothing\n"
        with open(path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - _LOG_BYTES))
            return f.read()

    def _page(self) -> str:
        jobs = list(self._jobs.values())
        rows = "".join(
            f'<tr class="{job.state}"><td>{job.number}</td><td>{job.state}</td><td>{escape(job.title)}</td>'
            f'<td>{escape(job.error)}</td><td><a href="log/{job.number}">log</a></td></tr>'
            for job in jobs
        )
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" '
            f'content="{_REFRESH}"><title>{escape(self._title)}</title><style>{_STYLE}</style></head>'
            f"<body><h1>{escape(self._title)}</h1><p>{counted(jobs)}</p>"
            f"<table><tr><th>job</th><th>state</th><th>command</th><th>error</th><th></th></tr>{rows}</table>"
            "</body></html>\n"
        )
