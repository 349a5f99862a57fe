"""An S3 of this process on 127.0.0.1, by moto: one writer at a time, as S3's own keys have."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "bucket"


class Gate:
    """Requests come in one by one, and the answers to some are lost.

    moto looks for a key and writes it in two steps, which S3 does in one.
    """

    def __init__(self, application: Any):
        self.application = application
        self.lock = threading.Lock()
        self.lose_answers: set[str] = set()  # ends of paths: done, and said to have failed, once

    def __call__(self, environment: dict, start_response: Any) -> Any:
        path, answers = environment["PATH_INFO"], []
        with self.lock:
            body = list(self.application(environment, lambda *answer: answers.append(answer)))
        lost = next((end for end in self.lose_answers if path.endswith(end)), None)
        if lost and environment["REQUEST_METHOD"] == "PUT":
            self.lose_answers.discard(lost)
            body, answers = [b""], [("500 Internal Server Error", [("Content-Length", "0")])]
        start_response(*answers[-1])
        return body


@contextmanager
def serving() -> Iterator[tuple[dict[str, str], Gate]]:
    """The environment variables that lead to it, and its gate."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *arguments: Any) -> None:
            pass

    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield (
            {
                "AWS_ENDPOINT": url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something",
            },
            gate,
        )  # fmt: skip
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
