"""What Windows lacks and refuses, for `lee` in this process and in every one it starts.

Python runs it at its start where this folder comes first in PYTHONPATH. For modules of `lee` alone, the
modules and calls of POSIX are absent, so that the libraries it uses work as they do here. For all, files
follow the rules of Windows: what is open, or mapped into memory, is not removed, renamed or replaced; a
folder is not opened; names hold none of the letters that Windows forbids.
"""

import builtins
import errno
import os
import subprocess
import sys
import types
import warnings

LACKING = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
_OS = """
    O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOFOLLOW O_NONBLOCK O_SYNC WNOHANG chown chroot fchmod
    fchown fdatasync fork forkpty fstatvfs getegid geteuid getgid getgroups getloadavg getpgid getpgrp getsid
    getuid killpg lockf mkfifo mknod nice openpty pipe2 pread preadv pwrite pwritev readv register_at_fork
    sched_getaffinity sched_setaffinity sendfile setsid statvfs sync sysconf tcgetpgrp uname wait wait3 wait4
    writev
"""
_SIGNALS = "SIGALRM SIGCHLD SIGHUP SIGKILL SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause setitimer"
LACKS = {
    "os": set(_OS.split()),
    "signal": set(_SIGNALS.split()),
    "mmap": {"MADV_DONTNEED", "MADV_SEQUENTIAL", "MAP_ANONYMOUS", "MAP_PRIVATE", "MAP_SHARED", "PROT_READ"},
    "select": {"epoll", "poll"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
    "time": {"pthread_getcpuclockid", "tzset"},
}
FORBIDDEN = set('<>:"|?*')
_import = builtins.__import__
_WHOLE = {name: getattr(os, name) for name in ("open", "fsync", "rename")}
_windows: dict[str, types.ModuleType] = {}


class _Without(types.ModuleType):
    """A module without what Windows lacks; what a test puts into the whole one is seen here, too."""

    def __init__(self, whole: types.ModuleType, instead: dict[str, object]) -> None:
        super().__init__(whole.__name__, whole.__doc__)
        self.__whole, self.__instead = whole, instead

    def __getattr__(self, name: str) -> object:
        if name in LACKS[self.__name__] or name.lower().startswith(("posix_", "clock_")):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = getattr(self.__whole, name)
        return self.__instead.get(name, found) if found is _WHOLE.get(name) else found


def _open(path, flags, *more, **named):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    return os.open(path, flags, *more, **named)


def _fsync(file):
    number = file if isinstance(file, int) else file.fileno()
    with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as held:
        flags = next(int(line.split()[1], 8) for line in held if line.startswith("flags:"))
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    os.fsync(number)


def _rename(source, target):
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "File exists", source, None, target)
    os.rename(source, target)


def _imported(name, globals=None, locals=None, fromlist=(), level=0):
    caller = str((globals or {}).get("__name__", ""))
    if level or not (caller == "lee" or caller.startswith("lee.")):
        return _import(name, globals, locals, fromlist, level)
    if name in LACKING:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = _import(name, globals, locals, fromlist, level)
    if name not in LACKS:
        return module
    if name not in _windows:
        instead = {"open": _open, "fsync": _fsync, "rename": _rename} if module is os else {}
        _windows[name] = _Without(module, instead)
    return _windows[name]


def _in_use(path: str) -> bool:
    """Whether this process has the file open or mapped, or one in the folder."""
    inside = path + os.sep
    for number in os.listdir("/proc/self/fd"):
        try:
            held = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if held == path or held.startswith(inside):
            return True
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        mapped = [line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/" in line]
    return any(held == path or held.startswith(inside) for held in mapped)


def _resolved(path, folder: int = -1) -> str:
    path = os.fsdecode(path)
    start = os.getcwd() if folder in (-1, None) else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(os.path.realpath(os.path.join(start, os.path.dirname(path))), os.path.basename(path))


_watching = True


def _judge(event: str, arguments: tuple) -> None:
    global _watching
    if not _watching or event not in ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"):
        return
    _watching = False  # what the checks themselves open and list is not judged
    try:
        _refuse(event, arguments)
    finally:
        _watching = True


def _refuse(event: str, arguments: tuple) -> None:
    if event in ("open", "os.mkdir"):
        path = arguments[0]
        made = event == "os.mkdir" or (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT)
        if made and isinstance(path, str | bytes) and FORBIDDEN & set(os.fsdecode(os.path.basename(path))):
            raise OSError(errno.EINVAL, "Invalid argument", path)
        return
    if event == "os.rename":
        source, target, source_folder, target_folder = arguments
        places = [_resolved(source, source_folder), _resolved(target, target_folder)]
    elif isinstance(arguments[0], int):
        return
    else:
        places = [_resolved(*arguments[:2])]
    for place in places:
        if _in_use(place):
            raise PermissionError(errno.EACCES, "The process cannot access the file, it is in use", place)


# What a program prints is read in the encoding that it prints in, as where both are the system's.
subprocess._text_encoding = lambda: os.environ.get("PYTHONIOENCODING", "utf-8")
if sys.flags.warn_default_encoding:  # a text file whose encoding would be that of the system
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"lee(\.|$)")
builtins.__import__ = _imported
sys.addaudithook(_judge)
