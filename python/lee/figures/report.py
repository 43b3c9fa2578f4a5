"""A report: one HTML file that holds its text, tables and pictures, to be read from top to bottom."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from matplotlib.figure import Figure

from lee.errors import InputError
from lee.storage.atomic import new_file
from lee.storage.description import versions
from lee.storage.refusals import unreadable

Rows = list[dict[str, object]]

_KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
}
_LOOK = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem}img,video{max-width:100%;height:auto}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.3rem 1rem .3rem 0;"
    "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}"
    "footer{margin:3rem 0 1rem;color:#555}figure{margin:1rem 0}figcaption{color:#555}"
)


@dataclass
class Section:
    """One section of a report; every part is optional.

    Attributes
    ----------
    heading : str
    text : str
        Paragraphs, separated by empty lines.
    table : sequence of mapping
        One mapping per row; the keys of the first are the columns.
    pictures : mapping of str to Figure or path
        Caption to figure, picture file (PNG, JPEG, GIF) or film (MP4).
    """

    heading: str
    text: str = ""
    table: Sequence[Mapping[str, object]] = ()
    pictures: Mapping[str, Figure | str | Path] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureFolder:
    """The folder that a report's figures are written to, each file once it is complete.

    Parameters
    ----------
    path : Path
    progress : callable, optional
        Called with the name of each finished file.
    """

    path: Path
    progress: Callable[[str], None] | None = None

    def save(self, name: str, figure: Figure) -> Path:
        """Write a figure as PNG and return its path."""
        place = self.path / name
        with new_file(place) as partial:
            # Less compression, in half the time.
            figure.savefig(partial, format="png", pil_kwargs={"compress_level": 3})
        self.finished(name)
        return place

    def finished(self, name: str) -> None:
        """Report a finished file."""
        if self.progress is not None:
            self.progress(name)


def write_report(path: str | Path, title: str, sections: Sequence[Section]) -> Path:
    """Write a self-contained HTML report; nothing in it is loaded from elsewhere.

    At its end stand the version of lee, the date, and links to the tables (CSV) that lie beside it.

    Parameters
    ----------
    path : str or Path
        The file to write; an older one is replaced.
    title : str
    sections : sequence of Section

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If a picture is missing or of another kind.
    StorageError
        If a picture cannot be read, or the file cannot be written.
    """
    body = "\n".join(_section(section) for section in sections)
    body += f"\n<footer>{_written(Path(path).parent)}</footer>"
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_LOOK}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
    with new_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return Path(path)


def _written(folder: Path) -> str:
    tables = sorted(table.name for table in folder.glob("*.csv"))
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    links = ", ".join(f'<a href="{escape(quote(name))}">{escape(name)}</a>' for name in tables)
    beside = f" Numbers, beside this file: {links}." if tables else ""
    return f"Written by lee {escape(versions()['lee-microscopy'])} on {when}.{beside}"


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.heading)}</h2>"]
    parts += [f"<p>{escape(part.strip())}</p>" for part in section.text.split("\n\n") if part.strip()]
    if section.table:
        columns = list(section.table[0])
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        rows = ("".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) for row in section.table)
        parts.append(f"<table><tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
    parts += [_figure(caption, picture) for caption, picture in section.pictures.items()]
    return "\n".join(parts)


def _figure(caption: str, picture: Figure | str | Path) -> str:
    source, text = _inline(picture), escape(caption)
    if source.startswith("data:video"):
        shown = f'<video controls loop muted playsinline aria-label="{text}" src="{source}"></video>'
    else:
        shown = f'<img alt="{text}" src="{source}">'
    return f"<figure>{shown}<figcaption>{text}</figcaption></figure>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def _inline(picture: Figure | str | Path) -> str:
    if isinstance(picture, Figure):
        png = io.BytesIO()
        picture.savefig(png, format="png")
        kind, content = "image/png", png.getvalue()
    else:
        place = Path(picture)
        if place.suffix.lower() not in _KINDS:
            raise InputError(f"{place}: a report takes pictures as {', '.join(_KINDS)}")
        try:
            kind, content = _KINDS[place.suffix.lower()], place.read_bytes()
        except OSError as error:
            raise unreadable(f"picture {place}", error, f"give {', '.join(_KINDS)}") from error
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
