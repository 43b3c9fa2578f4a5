"""The rig's page as a browser's requests see it: who is let in, what is told, what a run does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import lee
from lee.cli import run
from lee.devices.virtual.fault_plan import At, Faults
from lee.errors import InputError
from lee.live import LiveServer
from lee.live.access import Access
from lee.recording.segment_reader import SegmentReader
from tests.live_rig import RisingBank, bright_bank, quick_bank, served

TOKEN = "0123456789abcdefghij"


def ask(server, path, method="GET", **headers):
    """Ask as the page does; headers given as None are left out."""
    own = f"127.0.0.1:{server.port}"
    sent = {"Host": own} | ({"Origin": f"http://{own}"} if method == "POST" else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def state_of(server):
    return json.loads(ask(server, "/state").body)


def wait_for(server, fits, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not fits(state := state_of(server)):
        assert time.monotonic() < deadline, {k: v for k, v in state.items() if k != "surfaces"}
        time.sleep(0.05)
    return state


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    with served(tmp_path_factory.mktemp("live") / "run", bright_bank((64, 80))) as server:
        yield server


# --- who is let in, and what a request may be ---


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
    ("path", "method", "headers", "status", "said"),
    [
        ("/nothing", "GET", {}, 404, b"nothing here"),
        ("/../session.py", "GET", {}, 404, b"nothing here"),
        ("//[", "GET", {}, 404, b"nothing here"),
        ("/start", "GET", {}, 405, b"POST"),
        ("/state", "POST", {}, 404, b"nothing here"),
        ("/", "PUT", {}, 501, b"cannot be asked"),
        ("/", "GET", {"Host": "rig.example.org"}, 421, b"not the rig's"),
        ("/", "GET", {"Host": None}, 421, b"not the rig's"),
        ("/start", "POST", {"Origin": "http://rig.example.org"}, 403, b"own page"),
        ("/start", "POST", {"Origin": "null"}, 403, b"own page"),
        ("/start", "POST", {"Origin": None}, 403, b"own page"),
        ("/start", "POST", {"Content_Length": "4"}, 413, b"no content"),
        ("/start", "POST", {"Transfer_Encoding": "chunked"}, 413, b"no content"),
        ("/" + "a" * 20000, "GET", {}, 431, b"too long"),
        ("/", "GET", {"Cookie": "a" * 20000}, 431, b"too long"),
        ("/stop", "POST", {}, 409, b"no run is on"),
    ],
)
def test_what_does_not_belong_here_is_refused(at_rest, path, method, headers, status, said):
    answer = ask(at_rest, path, method, **headers)
    assert (answer.status, said in answer.body) == (status, True), answer.body
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


def test_a_request_that_comes_drop_by_drop_is_cut_off(at_rest, monkeypatch):
    monkeypatch.setattr("lee.live.server._REQUEST_S", 0.3)
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
        held[-1].settimeout(5)
        assert held[-1].recv(1) == b""
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
    ("host", "token", "said"),
    [
        ("0.0.0.0", None, "0.0.0.0 can be reached by others, who could move the stage; give a --token"),
        ("::", None, "can be reached by others"),
        ("127.0.0.1", "short", "the token must be 16 or more"),
        ("127.0.0.1", "spaces are no good here", "the token must be 16 or more"),
        ("no-such-host.invalid", None, "--host no-such-host.invalid is no address of this computer"),
        ("192.0.2.1", TOKEN, "192.0.2.1 is no address of this computer"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused(host, token, said):
    with pytest.raises(InputError, match=re.escape(said)):
        LiveServer(host, 0, token)


def test_names_of_other_sites_are_not_ours():
    access = Access("0.0.0.0", TOKEN)
    for host in ("10.0.0.5:8765", "localhost", f"{socket.gethostname()}:8765", "[fe80::1]:1"):
        assert access.host_is_ours(host), host
    for host in ("", None, "evil.org", "localhost.evil.org", "10.0.0.5.evil.org", "[evil]"):
        assert not access.host_is_ours(host), host


CONFIG = """
[camera]
driver = "virtual"
sensor_px = [64, 80]
frames_per_s = 200.0
exposure_s = 0.001
[stage]
driver = "virtual"
lowest_um = 900.0
highest_um = 1100.0
"""


def command(folder, *more):
    config = folder / "rig.toml"
    config.write_text(CONFIG)
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


def test_a_port_that_is_taken_is_told_before_a_device_is_touched(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(command(tmp_path, "--port", str(port))) == 1
    said = f"lee: live: port {port} of 127.0.0.1 is in use; end what uses it, or give another --port\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "run").exists()


def test_the_command_line_serves_until_it_is_told_to_end(tmp_path):
    asked = [sys.executable, "-m", "lee", *command(tmp_path, "--port", "0")]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stdout.readline().startswith("36 frames a scan")
            port = int(re.search(r"open http://127\.0\.0\.1:(\d+)/", process.stdout.readline()).group(1))
            server = type("Served", (), {"port": port})
            assert ask(server, "/start", "POST").status == 200
            wait_for(server, lambda state: state["phase"] == "scanning")
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "the scan in progress ends the run" in told
    scans = sorted((tmp_path / "run" / "scans").glob("*.raw"))
    assert told.endswith(f"run: {len(scans)} of {len(scans)} scans complete\n")
    assert len(lee.open_stack(scans[-1])) == 36


# --- what is seen and measured ---


def test_at_rest_the_camera_is_seen_and_nothing_moves(at_rest):
    state = wait_for(at_rest, lambda state: state["frame"])
    assert state["frame"]["preview"]
    assert state["frame"]["z_um"] == pytest.approx(1000.0, abs=0.01)
    assert (state["scans_taken"], state["frames_taken"], state["running"]) == (0, 0, False)
    picture = Image.open(BytesIO(ask(at_rest, "/frame.jpg").body))
    assert picture.size == (80, 64)
    assert ask(at_rest, "/height.png").status == 404


def test_saturated_pixels_are_counted_warned_of_and_red(at_rest):
    frame = wait_for(at_rest, lambda state: state["frame"])["frame"]
    assert frame["saturated"] == pytest.approx(12 * 40 / (64 * 80))
    assert frame["saturation_warning"]
    picture = np.asarray(Image.open(BytesIO(ask(at_rest, "/frame.jpg").body)).convert("RGB")).astype(int)
    assert picture[:10, :36, 0].min() > 200
    assert picture[:10, :36, 1].max() < 90
    assert np.abs(picture[20:, 50:, 0] - picture[20:, 50:, 1]).max() < 40


def test_a_run_is_started_watched_by_many_and_ended(tmp_path):
    with served(tmp_path / "run", RisingBank(quick_bank((64, 80), relief_um=8.0), 150.0)) as server:
        assert ask(server, "/start", "POST").status == 200
        twice = ask(server, "/start", "POST")
        assert twice.status == 409
        assert b"a run is on" in twice.body
        seen, statuses = [], []

        def watch():
            for _ in range(20):
                statuses.append(ask(server, "/state").status)
                seen.append(json.loads(ask(server, "/state").body)["frames_taken"])
                time.sleep(0.05)

        clients = [threading.Thread(target=watch) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert set(statuses) == {200}
        assert len(set(seen)) > 3
        state = wait_for(server, lambda state: state["surfaces"].get("curves", {}).get("surfaces", 0) >= 5)
        assert state["running"]
        assert state["disk"]["bytes_per_s"] > 0
        assert 0 < state["disk"]["run_ends_in_s"] < 60
        assert state["disk"]["full_in_s"] > 0
        assert not state["frame"]["saturation_warning"]
        assert ask(server, "/stop", "POST").status == 200
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "ended"
        assert state["said"] == f"{state['scans_taken']} of {state['scans_taken']} scans complete"
        wait_for(server, lambda now: now["surfaces"]["height"]["scan"] == state["scans"][0]["scan"])
        newest = state["scans"][0]
        assert (newest["frames"], newest["lost"], newest["missed"], newest["fault"]) == (36, 0, 0, "")
        height = state_of(server)["surfaces"]["height"]
        assert height["coverage"] == pytest.approx(newest["coverage"])
        picture = Image.open(BytesIO(ask(server, "/height.png").body))
        assert picture.size == (80, 64)
        assert len(set(np.asarray(picture).ravel().tolist())) > 50
        assert len(ask(server, "/relief.bin").body) == 64 * 80 * (4 + 3)
        rate = state_of(server)["surfaces"]["rate"]
        assert rate["low"] == -rate["high"]
        assert rate["mean_nm_per_s"] == pytest.approx(150, rel=0.3)
        curves = json.loads(ask(server, "/curves").body)
        assert curves["regions"][0]["name"] == "whole field"
        assert len(curves["times_s"]) == state["scans_taken"]
        assert curves["regions"][0]["change_um"][0] == 0
        assert curves["regions"][0]["change_um"][-1] > 0.1
        scans = len(list((tmp_path / "run" / "scans").glob("*.raw")))
        assert scans == state["scans_taken"] == len(lee.open_run(tmp_path / "run"))
    with served(tmp_path / "run") as server:
        again = wait_for(server, lambda state: state["surfaces"])
        assert again["surfaces"]["height"]["scan"] == newest["scan"]
        assert again["surfaces"]["curves"]["surfaces"] == scans


def test_the_stage_is_stopped_at_once_and_the_scan_accounted_for(tmp_path):
    with served(tmp_path / "run", frames_per_s=30.0) as server:
        ask(server, "/start", "POST")
        wait_for(server, lambda state: state["frames_taken"] > 8)
        begun = time.monotonic()
        assert ask(server, "/abort", "POST").status == 200
        state = wait_for(server, lambda state: not state["running"])
        assert time.monotonic() - begun < 2
        assert state["phase"] == "aborted"
        assert "by hand" in state["said"]
        row = state["scans"][0]
        assert not row["complete"]
        assert 8 < row["frames"] < 36
        written = SegmentReader(tmp_path / "run" / "scans" / row["scan"])
        assert (len(written), written.verify()) == (row["frames"], [])
        stage = server.session._rig.stage
        time.sleep(0.3)
        assert not stage.status().moving
        ask(server, "/start", "POST")
        assert wait_for(server, lambda state: state["scans_taken"])["scans"][0]["scan"] == "scan_001.raw"


def test_a_fault_is_told_and_the_page_lives_on(tmp_path):
    with served(tmp_path / "run", faults=Faults(stall=At(pulse=10))) as server:
        ask(server, "/start", "POST")
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "fault"
        assert "does not turn" in state["said"]
        assert "does not turn" in state["scans"][0]["fault"]
        assert state["scans"][0]["frames"] == 11
        assert state_of(server)["phase"] == "fault"


def test_no_room_is_told_before_anything_moves(tmp_path):
    with served(tmp_path / "run", duration_s=4e9) as server:
        ask(server, "/start", "POST")
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "fault"
        assert "are needed" in state["said"]
        assert state["scans"] == []
        assert server.session._rig.stage.status().position_counts == round(1000 * 2008.64563)


def test_a_camera_that_is_gone_is_told_at_rest(tmp_path):
    with served(tmp_path / "run", faults=Faults(unplug_camera=At(time_s=0.5))) as server:
        state = wait_for(server, lambda state: state["no_preview"])
        assert "camera: it does not answer" in state["no_preview"]
        assert state["phase"] == "idle"
