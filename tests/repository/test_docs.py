"""The docs agree with the program: links, commands, files and columns; the reference leaves nothing out.

`make docs` builds the site, with Sphinx's warnings as errors.
"""

import inspect
import re
import shlex

import click
import pytest

import lee
from lee.cli import commands
from tests.support.repository_files import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "python" / "lee").rglob("*.py"))
# What users bring, under any name.
BROUGHT = {"z.csv", "steps.csv", "rig.toml"}


def ids(paths):
    return [str(path.relative_to(DOCS)) for path in paths]


def anchors(text):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def walked(group, where="lee"):
    for name, command in group.commands.items():
        yield f"{where} {name}", command
        if isinstance(command, click.Group):
            yield from walked(command, f"{where} {name}")


def printed(text):
    """Return the lines that call lee, with those that they continue on, as words."""
    shell = "".join(code for language, code in CODE.findall(text) if language in ("sh", "bat"))
    lines = shell.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lee ")]


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_internal_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", TEXTS[page])):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_printed_commands_are_understood(page):
    for words in printed(TEXTS[page]):
        context = commands.make_context("lee", list(words))
        while isinstance(context.command, click.Group):  # options and arguments are checked, nothing is run
            name, command, rest = context.command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_files_named_are_the_programs(page):
    names = re.findall(
        r"`(?:\w+/)*([a-z_]+\.(?:csv|tif|png|json|mp4|html|zarr|glb|toml|pvd|mphtxt))`", TEXTS[page]
    )
    for name in sorted(set(names) - BROUGHT):
        stem = name.rpartition(".")[0]
        assert name in SOURCES or f'"{stem}"' in SOURCES or f'"{stem}.' in SOURCES, name


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"^(\w[\w/]*)$", TEXTS[DOCS / "index.md"], re.MULTILINE))
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES} - {"index"}
    assert {page for page in pages if not page.startswith("reference/names")} <= listed


def test_the_reference_is_made_of_all_public_rooms_and_commands():
    rooms = {f"lee.{name}" for name in lee.__all__ if inspect.ismodule(getattr(lee, name))}
    listed = re.findall(r"^   (lee[\w.]*)$", TEXTS[DOCS / "reference" / "python.md"], re.MULTILINE)
    assert set(listed) == {"lee", "lee.devices.virtual", *rooms}
    text = TEXTS[DOCS / "reference" / "commands.md"]
    assert ".. click:: lee.cli:commands" in text
    assert ":nested: full" in text
    # Sphinx leaves out what is hidden: `find`, which `lee particles` calls by default.
    assert [where for where, command in walked(commands) if command.hidden] == ["lee particles find"]
    assert ".. click:: lee.cli.particles:find" in text


def test_every_table_has_its_columns_listed():
    text = TEXTS[DOCS / "tables.md"]
    for name in sorted(set(re.findall(r'"(\w+\.csv)"', SOURCES)) - {"z_um.csv"}):
        assert re.search(rf"^### .*{name}|`{name}`", text, re.MULTILINE), name
