"""The viewer's server: this machine alone, reading alone, nothing but what the page asks for."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import xxhash

from simgen.store.reader import Dataset
from simgen.store.shard import IntegrityError
from simgen.view import episode, pages, pictures, query
from simgen.view.cache import Cache
from simgen.view.index import Index

ADDRESS = "127.0.0.1"
# nothing from elsewhere, nothing inline: captions of a stranger's dataset stay text
POLICY = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'"


@dataclass(frozen=True)
class Answer:
    """Bytes for the browser."""

    body: bytes
    kind: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK


class Viewer:
    """The answers of one dataset by path; knows nothing of HTTP."""

    def __init__(self, dataset: Dataset):
        self.dataset, self.index, self.cache = dataset, Index(dataset), Cache()
        self.routes: dict[str, Callable[[str], Answer]] = {
            "/": lambda _: Answer(pages.index_html(), pages.TYPES[".html"]),
            **{f"/static/{name}": self._static(name) for name in pages.STATIC},
            "/api/dataset": lambda _: _json(pages.dataset_facts(dataset, self.index)),
            "/api/episodes": self.episodes,
            "/api/episode": lambda asked: _json(
                episode.told(dataset, self.index, _one(asked, "id"))
            ),
            "/api/curves": lambda asked: _json(episode.curves(dataset, _one(asked, "id"))),
            "/api/thumb": self.thumb,
            "/api/sheet": self.sheet,
        }

    def episodes(self, asked: str) -> Answer:
        return _json(query.page(self.index, query.parse(asked, self.index.fields)))

    def thumb(self, asked: str) -> Answer:
        name = _one(asked, "id")
        made = self.cache.get(("", name), lambda: [pictures.thumbnail(self.dataset, name)])
        return Answer(made[0], "image/webp")

    def sheet(self, asked: str) -> Answer:
        name, channel = _one(asked, "id"), _one(asked, "channel")
        part = _one(asked, "part")
        made = self.cache.get((channel, name), lambda: pictures.sheets(self.dataset, name, channel))
        if not part.isdecimal() or int(part) >= len(made):
            raise KeyError(f"sheet {part!r} of {channel} of {name}; it has 0..{len(made) - 1}")
        return Answer(made[int(part)], "image/webp")

    def answer(self, path: str, asked: str) -> Answer:
        """The answer, an error's page among them."""
        try:
            if path not in self.routes:
                raise KeyError(f"there is no page {path!r} here")
            return self.routes[path](asked)
        except KeyError as error:
            return problem(path, HTTPStatus.NOT_FOUND, str(error.args[0]))
        except ValueError as error:
            return problem(path, HTTPStatus.BAD_REQUEST, str(error))
        except (IntegrityError, OSError) as error:
            return problem(path, HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    @staticmethod
    def _static(name: str) -> Callable[[str], Answer]:
        kind = pages.TYPES[name[name.rindex(".") :]]
        return lambda _: Answer(pages.static(name), kind)


class Server(ThreadingHTTPServer):
    """Serves a dataset on 127.0.0.1 until it is shut down."""

    daemon_threads = True

    def __init__(self, dataset: Dataset, port: int = 0):
        """Raises OSError if the port is taken."""
        self.viewer = Viewer(dataset)
        super().__init__((ADDRESS, port), Handler)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a Host header may be: a page of another site that resolves to us has its own."""
        return f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection; GET and HEAD alone."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.respond(send=True)

    def do_HEAD(self) -> None:
        self.respond(send=False)

    def respond(self, *, send: bool) -> None:
        asked = urlsplit(self.path)
        if self.headers.get("Host") not in self.server.hosts:
            text = f"this server answers as {self.server.url} alone; open that address"
            answer = problem(asked.path, HTTPStatus.MISDIRECTED_REQUEST, text)
        else:
            answer = self.server.viewer.answer(asked.path, asked.query)
        tag = f'"{xxhash.xxh3_64_hexdigest(answer.body)}"'
        known = answer.status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag
        body = b"" if known else answer.body
        self.send_response(HTTPStatus.NOT_MODIFIED if known else answer.status)
        for name, value in _headers(answer, tag).items():
            self.send_header(name, value)
        if not known:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send:
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):  # the reader has scrolled on
                self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal belongs to the address and to errors."""


def problem(path: str, status: HTTPStatus, text: str) -> Answer:
    """An error: JSON for the page's own questions, else a page that says what to do."""
    if path.startswith("/api/"):
        body = json.dumps({"error": text}).encode()
        return Answer(body, status=status)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>physreel</title>'
        '<link rel="stylesheet" href="/static/style.css"><main class="problem">'
        f"<h1>{status.phrase}</h1><p>{html.escape(text)}</p>"
        '<p><a href="/">All episodes</a></p></main>'
    )
    return Answer(page.encode(), pages.TYPES[".html"], status=status)


def _json(value: Any) -> Answer:
    return Answer(pages.as_json(value))


def _headers(answer: Answer, tag: str) -> Mapping[str, str]:
    return {
        "Content-Type": answer.kind,
        "ETag": tag,
        "Cache-Control": "no-cache",  # ask again: another dataset may come to this address
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _one(asked: str, name: str) -> str:
    values = parse_qs(asked, keep_blank_values=True).get(name, [])
    if len(values) != 1:
        raise ValueError(f"give {name}= once in the address")
    return values[0]
