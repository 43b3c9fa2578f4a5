"""The rig's page in a real browser: what a person sees changes as the rig works."""

import shutil
import time
from contextlib import contextmanager

import pytest

from tests.support.live_rig import RisingBank, bright_bank, quick_bank, served

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=20_000)
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")

# How many colours a canvas shows; 0 or 1 where nothing is drawn on it.
COLOURS = """(id) => {
  const canvas = document.getElementById(id), copy = document.createElement("canvas");
  copy.width = canvas.width; copy.height = canvas.height;
  const to = copy.getContext("2d");
  if (canvas.width) to.drawImage(canvas, 0, 0); else return 0;
  const data = new Uint32Array(to.getImageData(0, 0, copy.width, copy.height).data.buffer);
  return new Set(data.filter((_, k) => k % 7 === 0)).size;
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # The sandbox needs rights that a container may lack; software draws what is 3D.
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        found = started.chromium.launch(executable_path=BROWSER, args=options)
        yield found
        found.close()


@contextmanager
def opened(browser, url, *, width=1280, height=900):
    """Give the page and the messages of its console."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(20_000)
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(url)
    try:
        yield page, messages
    finally:
        page.close()


def wait_until_drawn(page, figure, colours):
    """Wait for a picture: numbers are there before it is."""
    deadline = time.monotonic() + 20
    while (seen := page.evaluate(COLOURS, figure)) <= colours:
        assert time.monotonic() < deadline, (figure, seen)
        page.wait_for_timeout(50)


def number(page, element):
    return int(page.inner_text(f"#{element}").split()[0])


def test_a_run_is_started_seen_and_ended(browser, tmp_path):
    bank = RisingBank(quick_bank((64, 80), relief_um=8.0), 150.0)
    with (
        served(tmp_path / "run", bank, frames_per_s=60.0) as server,
        opened(browser, server.url) as (page, messages),
    ):
        expect(page.locator("#phase")).to_have_text("at rest")
        expect(page.locator("#frame-caption")).to_contain_text("at rest")
        wait_until_drawn(page, "frame", 10)
        assert page.evaluate(COLOURS, "height") <= 1
        assert page.is_enabled("#start")
        assert page.is_disabled("#stop")
        assert page.is_hidden("#saturation")

        expect(page.locator("#window-end")).to_have_value("1011.99")
        page.click('[data-um="-1"]')
        expect(page.locator("#message")).to_have_text("the stage is at 999.00 µm")
        expect(page.locator("#z")).to_have_text("999.0 µm")
        expect(page.locator("#focus-caption")).to_contain_text("best")
        page.fill("#goto", "30000")
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_contain_text("beyond its limits")
        page.fill("#exposure", "1.5")
        page.click("#camera button")
        expect(page.locator("#frame-caption")).to_contain_text("at rest")
        wait_until_drawn(page, "histogram", 1)
        page.check("#stretch")

        page.focus("#start")
        page.keyboard.press("Enter")
        expect(page.locator("#phase")).to_have_text("scanning")
        assert page.is_disabled("#start")
        assert page.is_hidden("#setup")
        frames = number(page, "total")
        expect(page.locator("#scans")).not_to_have_text("0")
        scans = number(page, "scans")
        expect(page.locator("#scans")).not_to_have_text(str(scans))
        assert number(page, "scans") > scans
        assert number(page, "total") > frames
        expect(page.locator("#rate-caption")).to_contain_text("linear fit to")
        for figure in ("height", "relief", "rate-map", "curves"):
            wait_until_drawn(page, figure, 20)
        assert page.locator("#ledger tr").count() >= 3
        assert "✓ 000" in page.inner_text("#ledger")
        assert "measured" in page.inner_text("#height-caption")
        assert "×" in page.inner_text("#relief-caption")

        before = page.locator("#relief").screenshot()
        page.focus("#relief")
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(300)
        assert page.locator("#relief").screenshot() != before

        page.click("#stop")
        expect(page.locator("#phase")).to_have_text("run ended")
        scans = number(page, "scans")
        assert f"{scans} of {scans} scans complete" in page.inner_text("#message")
        assert page.is_enabled("#start")

        page.reload()
        expect(page.locator("#scans")).to_have_text(f"{scans}")
        expect(page.locator("#height-caption")).to_contain_text("measured")
        page.set_viewport_size({"width": 420, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        wait_until_drawn(page, "height", 20)
        table = page.locator(".scans").bounding_box()
        for delay in (page.locator("#ledger td:nth-child(4)").first, page.locator("th:nth-child(4)")):
            seen = delay.bounding_box()
            assert seen["x"] + seen["width"] <= table["x"] + table["width"]
        assert [message for message in messages if "409" not in message] == []


def test_saturation_is_warned_of_and_a_rig_that_is_gone_is_reported(browser, tmp_path):
    with (
        served(tmp_path / "run", bright_bank((64, 80))) as server,
        opened(browser, server.url) as (page, messages),
    ):
        page.wait_for_selector("#saturation:not([hidden])")
        assert "9.4 % of the pixels" in page.inner_text("#saturation")
        assert messages == []
        server.end()
        page.wait_for_selector("#lost:not([hidden])")
        assert "No answer from the rig since" in page.inner_text("#lost")
        assert page.is_disabled("#start")


def test_a_token_opens_the_page_and_leaves_the_address(browser, tmp_path):
    token = "0123456789abcdefghij"
    with served(tmp_path / "run", token=token, frames_per_s=30.0) as server:
        with opened(browser, f"{server.url}?token={token}") as (page, messages):
            expect(page.locator("#phase")).to_have_text("at rest")
            assert page.url == server.url
            page.click("#start")
            expect(page.locator("#phase")).to_have_text("scanning")
            page.click("#abort")
            expect(page.locator("#phase")).to_have_text("stopped by the user")
            assert "by the user" in page.inner_text("#ledger")
            assert "✗ 000" in page.inner_text("#ledger")
            assert "✗ ended early, or with losses: see the line below it" in page.inner_text(
                "#ledger-caption"
            )
            assert "must be" not in page.inner_text("#ledger")
            assert messages == []
        with opened(browser, server.url) as (page, _):
            assert "a token is needed: open the page once with ?token=" in page.inner_text("body")
