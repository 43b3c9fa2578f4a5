"""Who is let in to the rig's page, what a request may be, and where it is listened."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

import lee
from lee.cli import run
from lee.errors import InputError
from lee.rig.live import LiveServer
from lee.rig.live.access import Access
from tests.support.live_rig import ask, served, state_of, wait_for
from tests.support.rig_commands import VIRTUAL_RIG

TOKEN = "0123456789abcdefghij"


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    with served(tmp_path_factory.mktemp("live") / "run") as server:
        yield server


def test_the_page_is_on_this_computer_alone_and_runs_only_its_own_code(at_rest):
    assert at_rest.server_address[0] == "127.0.0.1"
    page = ask(at_rest, "/")
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in page.headers["Server"]
    asked = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert asked
    assert all(path.startswith("/") and not path.startswith("//") for path in asked)
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.body.decode())
    for path in [*asked, "/charts.js", "/relief.js"]:
        found = ask(at_rest, path)
        assert found.status == 200, path
        assert b"http://" not in found.body.replace(b"http://www.w3.org/2000/svg", b""), path
        assert b"https://" not in found.body, path


@pytest.mark.parametrize(
    ("path", "method", "headers", "status", "message"),
    [
        ("/nothing", "GET", {}, 404, b"nothing here"),
        ("/../session.py", "GET", {}, 404, b"nothing here"),
        ("//[", "GET", {}, 404, b"nothing here"),
        ("/start", "GET", {}, 405, b"use POST"),
        ("/state", "POST", {}, 404, b"nothing here"),
        ("/", "PUT", {}, 501, b"not supported"),
        ("/", "GET", {"Host": "rig.example.org"}, 421, b"not the rig's name"),
        ("/", "GET", {"Host": None}, 421, b"not the rig's name"),
        ("/start", "POST", {"Origin": "http://rig.example.org"}, 403, b"own page"),
        ("/start", "POST", {"Origin": "null"}, 403, b"own page"),
        ("/start", "POST", {"Origin": None}, 403, b"own page"),
        ("/start", "POST", {"Content_Length": "4"}, 413, b"must have no content"),
        ("/start", "POST", {"Transfer_Encoding": "chunked"}, 413, b"must have no content"),
        ("/" + "a" * 20000, "GET", {}, 431, b"too long"),
        ("/", "GET", {"Cookie": "a" * 20000}, 431, b"too long"),
        ("/stop", "POST", {}, 409, b"no run is in progress"),
    ],
)
def test_what_does_not_belong_here_is_refused(at_rest, path, method, headers, status, message):
    answer = ask(at_rest, path, method, **headers)
    assert (answer.status, message in answer.body) == (status, True), answer.body
    assert b"Traceback" not in answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert state_of(at_rest)["phase"] == "idle"


def test_a_tunnel_may_lead_here(at_rest):
    assert ask(at_rest, "/state", Host="localhost:9000").status == 200
    assert ask(at_rest, "/state", Host="[::1]:9000").status == 200


def test_a_failure_inside_is_not_shown_to_the_client(at_rest, monkeypatch, capsys):
    monkeypatch.setattr(at_rest.session, "state", lambda: {}["secret"])
    answer = ask(at_rest, "/state")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert capsys.readouterr().err == "lee: warning: the page failed: KeyError: 'secret'\n"


def test_a_request_that_comes_byte_by_byte_is_cut_off(at_rest, monkeypatch):
    monkeypatch.setattr("lee.rig.live.server._REQUEST_S", 0.3)
    with socket.create_connection(("127.0.0.1", at_rest.port), timeout=5) as slow:
        begun = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            while time.monotonic() - begun < 4:
                slow.sendall(b"X: y\r\n")
                time.sleep(0.05)
        assert 0.2 < time.monotonic() - begun < 2


def test_one_client_cannot_take_all_connections(at_rest):
    held = [socket.create_connection(("127.0.0.1", at_rest.port), timeout=5) for _ in range(30)]
    try:
        held[0].settimeout(5)
        assert held[0].recv(1) == b""
    finally:
        for one in held:
            one.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert state_of(at_rest)["phase"] == "idle"
            break
        except (ConnectionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_with_a_token_nobody_enters_without_it(tmp_path):
    with served(tmp_path / "run", token=TOKEN) as server:
        for path in ("/", "/state", "/frame.jpg", "/page.js", f"/state?token={TOKEN}"):
            assert ask(server, path).status == 401, path
        assert ask(server, "/start", "POST").status == 401
        assert ask(server, "/?token=" + TOKEN[:-1] + "x").status == 401
        assert ask(server, "/state", Authorization="Bearer " + TOKEN[:-1]).status == 401
        assert ask(server, "/state", Authorization="Bearer é").status == 401
        welcome = ask(server, f"/?token={TOKEN}")
        assert (welcome.status, welcome.headers["Location"]) == (303, "/")
        cookie = welcome.headers["Set-Cookie"]
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        kept = cookie.partition(";")[0]
        assert ask(server, "/state", Cookie=kept).status == 200
        assert ask(server, "/state", Cookie=kept + "x").status == 401
        assert ask(server, "/stop", "POST", Cookie=kept).status == 409
        assert ask(server, "/stop", "POST", Cookie=kept, Origin=None).status == 403
        bearer = f"Bearer {TOKEN}"
        assert ask(server, "/state", Authorization=bearer).status == 200
        assert ask(server, "/stop", "POST", Authorization=bearer, Origin=None).status == 409


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, "others can reach 0.0.0.0 and could move the stage; give a --token"),
        ("::", None, "others can reach ::"),
        ("127.0.0.1", "short", "the token must be 16 or more"),
        ("127.0.0.1", "spaces are no good here", "the token must be 16 or more"),
        ("no-such-host.invalid", None, "--host no-such-host.invalid is not an address of this computer"),
        ("192.0.2.1", TOKEN, "192.0.2.1 is not an address of this computer"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused(host, token, message):
    with pytest.raises(InputError, match=re.escape(message)):
        LiveServer(host, 0, token)


def test_names_of_other_sites_are_not_ours():
    access = Access("0.0.0.0", TOKEN)
    for host in ("10.0.0.5:8765", "localhost", f"{socket.gethostname()}:8765", "[fe80::1]:1"):
        assert access.host_is_ours(host), host
    for host in ("", None, "evil.org", "localhost.evil.org", "10.0.0.5.evil.org", "[evil]"):
        assert not access.host_is_ours(host), host


def command(folder, *more):
    config = folder / "rig.toml"
    config.write_text(VIRTUAL_RIG)
    plan = [
        "--start-um",
        "998",
        "--end-um",
        "1012",
        "--step-um",
        "0.4",
        "--lead-um",
        "4",
        "--pixel-um",
        "0.25",
    ]
    return ["rig", "live", str(config), "-o", str(folder / "run"), *plan, "--duration-s", "60", *more]


def test_a_port_that_is_taken_is_reported_before_a_device_is_touched(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(command(tmp_path, "--port", str(port))) == 1
    message = f"lee: live: port {port} of 127.0.0.1 is in use; stop what uses it, or give another --port\n"
    assert capsys.readouterr().err == message
    assert not (tmp_path / "run").exists()


def test_help_has_an_example(capsys):
    assert run(["rig", "live", "--help"]) == 0
    out = capsys.readouterr().out
    assert "lee rig live rig.toml" in out.split("Example:")[1]
    assert "LEE_LIVE_TOKEN" in out


def test_others_are_not_let_in_unasked(tmp_path, capsys):
    assert run(command(tmp_path, "--host", "0.0.0.0")) == 1
    err = capsys.readouterr().err
    assert "give a --token" in err
    assert err.count("\n") == 1


def test_the_command_line_serves_until_it_is_asked_to_end(tmp_path):
    asked = [sys.executable, "-m", "lee", *command(tmp_path, "--port", "0")]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stdout.readline().startswith("36 frames per scan")
            port = int(re.search(r"open http://127\.0\.0\.1:(\d+)/", process.stdout.readline()).group(1))
            server = type("Served", (), {"port": port})
            assert ask(server, "/start", "POST").status == 200
            wait_for(server, lambda state: state["phase"] == "scanning")
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "the run ends after the scan in progress" in out
    scans = sorted((tmp_path / "run" / "scans").glob("*.raw"))
    assert out.endswith(f"run: {len(scans)} of {len(scans)} scans complete\n")
    assert len(lee.open_stack(scans[-1])) == 36
