"""What the plugin presents to a Prometheus that asks for credentials, and what it says of one that refuses them."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backtest.plan import ROLLOUT, minute
from syncrollout.cli.plugin import main


class _Handler(BaseHTTPRequestHandler):
    """Takes one token and one login, and has nothing recorded."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") in ("Bearer s3cret", f"Basic {b64encode(b'ann:s3cret').decode()}")
        answer = {"status": "success", "warnings": ["a store is away"], "data": {"resultType": "matrix", "result": []}}
        body = json.dumps(answer).encode() if known else b"no"
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing is printed."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def arguments(address: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "rollout.yaml"
    file.write_text(ROLLOUT)
    times = ["--from", minute(0), "--to", minute(290)]
    return ["backtest", "-f", str(file), *times, "--prometheus", address]


@pytest.mark.parametrize(("option", "content"), [("--token-file", "s3cret\n"), ("--login-file", "ann:s3cret\n")])
def test_credentials_are_presented_and_warnings_are_passed_on(
    option: str, content: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "credentials"
    file.write_text(content)
    assert main([*arguments, option, str(file)]) == 3
    printed = capsys.readouterr()
    assert "has no data for the query" in printed.out
    assert printed.out.count("warns: a store is away") == 1
    assert "s3cret" not in printed.out + printed.err


def test_credentials_that_are_refused_are_no_answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "refuses the credentials (HTTP 401)" in printed.err
    assert "--token-file" in printed.err
    assert printed.out == ""


def test_a_login_without_a_password_is_no_login(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "login"
    file.write_text("ann\n")
    assert main([*arguments, "--login-file", str(file)]) == 1
    assert "has to hold user:password, on one line" in capsys.readouterr().err
