"""The installed modules in one file: an import is a look into a text and one read, not a walk through directories.

`make install` writes it beside the packages (`python -m mailcore.bundle LIBRARY`) and their launchers open it:
a cold session imports some 120 modules, each of which costs a dozen system calls otherwise.  It holds what lies in
the .pyc files, after an index: a line `NAME START LENGTH` for each module (`NAME/` for a package), an
empty line, then the code.  Written by another Python, changed since the start, out of reach: whatever is
wrong with it, Python goes on as if it were not there.
"""

from __future__ import annotations

import gc
import os
import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery is dear
from _frozen_importlib_external import MAGIC_NUMBER, SourcelessFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "modules.bundle"
GARBAGE_OBJECTS = 10_000  # new ones between two collections: at Python's 700 a session has 20 that find nothing
INDEX_OCTETS = 32768  # more than the index has
LEFT_OUT = ("mailcore.tools", "mailcore.options")  # they are for people, who read their docstrings as help


def use(library: str) -> None:
    """Import from the bundle in that directory from now on, if there is one for this Python."""
    gc.set_threshold(GARBAGE_OBJECTS)
    bundle = Bundle(os.path.join(library, NAME))
    if bundle.fits():
        sys.meta_path.insert(0, bundle)


class Bundle:
    """A finder for sys.meta_path."""

    __slots__ = ("_file", "_index", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = (0, 0)  # inode and time
        self._index = b""

    def fits(self) -> bool:
        """Read the index; False if this Python could not run what is there."""
        head = self._read(0, INDEX_OCTETS)
        index, empty, code = head.partition(b"\n\n")
        self._index = b"\n" + index + b"\n"
        return bool(empty) and code.startswith(MAGIC_NUMBER)

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """What tells Python how to import a module of ours; None for all others (importlib.abc.MetaPathFinder)."""
        for end in (" ", "/ "):
            key = f"\n{name}{end}".encode()
            at = self._index.find(key)
            if at >= 0:
                start, length = self._index[at + len(key) : self._index.index(b"\n", at + 1)].split()
                code = self._read(len(self._index) + int(start), int(length))
                whole = len(code) == int(length)
                return ModuleSpec(name, Loader(name, code), is_package=end != " ") if whole else None
        return None

    def _read(self, start: int, length: int) -> bytes:
        """b"" if it cannot be read, or is no longer the file whose index we have."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            status = os.fstat(fd)
            if not self._index:
                self._file = (status.st_ino, status.st_mtime_ns)
            return os.pread(fd, length, start) if self._file == (status.st_ino, status.st_mtime_ns) else b""
        finally:
            os.close(fd)


class Loader(SourcelessFileLoader):
    """Runs the code of one module, which has been read."""

    def __init__(self, name: str, code: bytes) -> None:
        super().__init__(name, "")
        self._code = code

    def get_data(self, path: str) -> bytes:
        """Once: it would stay in memory beside what is made of it."""
        code, self._code = self._code, b""
        return code


def write(library: str, packages: list[str]) -> None:
    """Put what is compiled below that directory into a bundle, in one step."""
    index, codes, start = [], [], 0
    for name, path in sorted(found(library, packages)):
        with open(path, "rb") as file:
            codes.append(file.read())
        index.append(f"{name} {start} {len(codes[-1])}\n")
        start += len(codes[-1])
    path = os.path.join(library, NAME)
    with open(path + ".new", "wb") as file:
        file.write("".join(index).encode() + b"\n" + b"".join(codes))
    os.replace(path + ".new", path)


def found(library: str, packages: list[str]) -> list[tuple[str, str]]:
    """Each module's name and its compiled file, docstrings left out."""
    tag = f".{sys.implementation.cache_tag}.opt-2.pyc"
    modules = []
    for package in packages:
        for directory, _, files in os.walk(os.path.join(library, package)):
            outer = os.path.relpath(os.path.dirname(directory), library).replace("/", ".")
            for file in files:
                if directory.endswith("/__pycache__") and file.endswith(tag):
                    name = f"{outer}.{file.removesuffix(tag)}".replace(".__init__", "/")
                    if not name.startswith(LEFT_OUT):
                        modules.append((name, os.path.join(directory, file)))
    return modules


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2:])
