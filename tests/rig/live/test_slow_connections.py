"""Nobody silences "Stop stage now": slow connections, guessed tokens, requests that are none."""

import socket
import time
from contextlib import ExitStack
from http.client import HTTPConnection

import numpy as np
import pytest

from tests.support.live_rig import ask, served, wait_for

TOKEN = "0123456789abcdefghij"


def slow_connections(server, count, held):
    for k in range(count):
        one = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        one.sendall(b"POST /abort HTTP/1.1\r\nHost: " + b"x" * (k % 7))


@pytest.mark.parametrize("token", [None, TOKEN])
def test_slow_connections_do_not_silence_the_stop(tmp_path, token):
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    with served(tmp_path / "run", token=token) as server, ExitStack() as held:
        assert ask(server, "/start", "POST", **bearer).status == 200
        slow_connections(server, 60, held)
        begun = time.monotonic()
        answer = ask(server, "/abort", "POST", **bearer)
        assert (answer.status, answer.body) == (200, b"done\n")
        assert time.monotonic() - begun < 5
        slow_connections(server, 60, held)
        assert ask(server, "/state", **bearer).status == 200


def test_those_who_were_let_in_stay_while_strangers_come(tmp_path):
    with served(tmp_path / "run", token=TOKEN) as server, ExitStack() as held:
        mine = HTTPConnection("127.0.0.1", server.port, timeout=5)
        held.callback(mine.close)
        for _ in range(2):
            mine.request("GET", "/state", headers={"Host": "localhost", "Authorization": f"Bearer {TOKEN}"})
            answer = mine.getresponse()
            assert answer.status == 200
            answer.read()
            # The same connection, not one that was opened anew.
            assert mine.sock is not None
            mine.auto_open = 0
            slow_connections(server, 40, held)


def test_tokens_are_not_guessed_without_end_and_who_is_inside_stays(tmp_path):
    with served(tmp_path / "run", token=TOKEN) as server:
        cookie = ask(server, f"/?token={TOKEN}").headers["Set-Cookie"].partition(";")[0]
        answers = [ask(server, f"/?token=wrong{k:020}").status for k in range(8)]
        answers += [ask(server, "/state", Authorization=f"Bearer wrong{k:020}").status for k in range(8)]
        assert answers == [401] * 10 + [429] * 6
        assert (
            b"too many wrong tokens from this address; wait a minute" in ask(server, f"/?token={TOKEN}").body
        )
        assert ask(server, "/abort", "POST", Cookie=cookie).status == 200


def malformed(rng):
    """Return bytes that begin as a request does, and are none that the page makes."""
    method = rng.choice([b"GET", b"POST", b"PUT", b"get", b"\x00", b"A" * 300, b""])
    path = rng.choice(
        [b"/", b"/state", b"/abort", b"/?token=%ff", b"//[", b"/%00", b"*", b"x" * 4000, b"/\xff"]
    )
    version = rng.choice([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"HTTP/1", b"", b"HTTP/1.1 x"])
    headers = [
        b"Host: localhost", b"Host: evil.example", b"Content-Length: -1", b"Content-Length: 9" * 40,
        b"Transfer-Encoding: chunked", b"Cookie: \xff=;;=", b"Authorization: Bearer \xff\x00", b": ", b" x",
        b"Host: [::1", b"X: " + b"y" * 20000, b"Origin: null", b"Expect: 100-continue", b"Connection: close",
    ]  # fmt: skip
    chosen = [headers[k] for k in rng.integers(0, len(headers), rng.integers(0, 5))]
    whole = b" ".join([method, path, version]) + b"\r\n" + b"".join(one + b"\r\n" for one in chosen) + b"\r\n"
    sent = bytearray(whole)
    for at in rng.integers(0, len(sent), rng.integers(0, 4)):
        sent[at] = rng.integers(0, 256)
    return bytes(sent[: rng.integers(1, len(sent) + 1)]) if rng.random() < 0.3 else bytes(sent)


@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=pytest.mark.slow)])
def test_malformed_requests_neither_crash_nor_hang_nor_move(tmp_path, capfd, count):
    rng = np.random.default_rng(7)
    with served(tmp_path / "run", token=TOKEN) as server:
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
                try:
                    one.sendall(malformed(rng))
                    one.shutdown(socket.SHUT_WR)
                    answer = one.recv(200)
                except TimeoutError:
                    raise
                except OSError:
                    continue  # closed before all was sent
                assert answer == b"" or answer[:9] == b"HTTP/1.1 "
                assert answer[9:12] != b"500"
        cookie = ask(server, f"/?token={TOKEN}").headers.get("Set-Cookie", "").partition(";")[0]
        bearer = ask(server, "/abort", "POST", Cookie=cookie)
        assert bearer.status in (200, 401)
    assert capfd.readouterr().err == ""


def test_a_scan_that_was_stopped_says_so_and_no_more(tmp_path):
    with served(tmp_path / "run", frames_per_s=50.0, triggered=False) as server:
        ask(server, "/start", "POST")
        wait_for(server, lambda state: state["phase"] == "scanning")
        assert ask(server, "/abort", "POST").status == 200
        state = wait_for(server, lambda state: not state["running"])
        assert (state["phase"], state["said"][:29]) == ("aborted", "stopped at once by the user; ")
        for scan in state["scans"]:
            assert "without a trace" not in scan["said"]
