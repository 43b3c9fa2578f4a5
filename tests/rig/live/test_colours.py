"""The page's text is legible: its contrast, computed from the colours in the style sheet and the scripts."""

import re
from importlib.resources import files

import pytest

MIN_RATIO = 4.5  # WCAG 2.2, 1.4.3
PAGE = files("lee.rig.live")
CSS = (PAGE / "page.css").read_text()
NAMED = dict(re.findall(r"(--\w+): (#\w+);", CSS))
GROUNDS = ("--ground", "--panel")


def rules():
    """Every rule's selector and declarations."""
    flat = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}", r"\1", CSS)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", flat):
        yield selector.strip(), dict(re.findall(r"([\w-]+):\s*([^;]+)", body))


def colour(value):
    found = re.search(r"var\((--\w+)\)|(#[0-9a-f]{6})", value)
    return None if found is None else NAMED[found[1]] if found[1] else found[2]


def luminance(code):
    parts = [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_ratio_is_that_of_the_standard():
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_text_has_enough_contrast():
    checked = 0
    for selector, has in rules():
        text = colour(has.get("color", "var(--text)"))
        behind = colour(has.get("background", ""))
        if "color" not in has and behind is None:
            continue
        for ground in [behind] if behind else [NAMED[name] for name in GROUNDS]:
            assert ratio(text, ground) >= MIN_RATIO, (selector, text, ground)
            checked += 1
        assert "opacity" not in has, f"{selector}: opacity takes contrast away unseen"
    assert checked > 20


def test_text_and_lines_of_the_charts_have_enough_contrast():
    charts, page = (PAGE / name for name in ("charts.js", "page.js"))
    texts = re.findall(r"(?:TEXT|QUIET) = \"(#\w+)\"", charts.read_text())
    lines = re.findall(r"colour: \"(#\w+)\"", page.read_text())
    assert (len(texts), len(lines)) == (2, 8)
    for code in texts + lines:
        assert ratio(code, NAMED["--panel"]) >= MIN_RATIO, code
