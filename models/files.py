"""Files that appear whole or not at all. Any thread; one writer to a file at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class SameFileError(ValueError):
    """Something was to be written over the file that it comes from, or over itself."""


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which stands at `path` when the block is left.

    Where writing fails, what was there before is there still, and nothing else. Folders are made.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def check_writable(path: Path) -> None:
    """Raise the OSError with which :func:`written_whole` would fail, before the work is done."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.open("ab").close()
    partial.unlink()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8, as :func:`written_whole` does."""
    with written_whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
