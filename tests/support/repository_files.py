"""The repository's files, its kernels, and what a source file includes."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = {".cpp", ".hpp", ".h", ".cu", ".cuh", ".py", ".pyi", ".cmake"}


def repository_files() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        files = [ROOT / name for name in listed]
    except (OSError, subprocess.CalledProcessError):  # an unpacked source archive
        folders = [ROOT / name for name in ("cpp", "python", "tests", "bench")]
        files = [*ROOT.glob("*"), *(path for folder in folders for path in folder.rglob("*"))]
    return sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def kernels() -> list[str]:
    listed = re.search(r"set\(LEE_KERNELS\s+([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())
    assert listed is not None
    return listed.group(1).split()


def with_kernels(text: str, *stems: str) -> str:
    """Return the text of CMakeLists.txt with these kernels alone, so that less is built."""
    return re.sub(r"set\(LEE_KERNELS[^)]*\)", f"set(LEE_KERNELS {' '.join(stems)})", text)


def includes_of(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


FILES = repository_files()
SOURCES = [path for path in FILES if path.suffix in CODE]
KERNELS = kernels()
