"""From exceptions to one sentence and an exit code, in one place.

Thread: any. The classes are known by name, so that telling about a failure never imports the
network or the training code.
"""

from __future__ import annotations

import errno
import threading
from enum import IntEnum
from pathlib import Path
from typing import Final

interrupted: Final = threading.Event()
"""Set by Ctrl-C and SIGTERM. Python raises KeyboardInterrupt wherever the main thread happens to
be, and loses it where that is a callback of a native library; this remembers it."""


class ExitCode(IntEnum):
    """What the program returns to the shell."""

    DONE = 0
    UNEXPECTED = 1
    WRONG_USE = 2
    NO_DEVICE = 3
    UNREADABLE_FILE = 4
    DAMAGED_WEIGHTS = 5
    NO_TRAINING_DATA = 6
    BUDGET_MISSED = 7
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line for --help and the README."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    ExitCode.DONE: "done (Ctrl-C or SIGTERM is the ordinary way to end `live` without --seconds)",
    ExitCode.UNEXPECTED: "an unexpected failure; the log file has the details",
    ExitCode.WRONG_USE: "wrong use of the command line or of a setting",
    ExitCode.NO_DEVICE: "nothing to watch or listen to (plain `live` shows the demo); without a "
    "window also when a device that was named is not there, or gone for 8 seconds",
    ExitCode.UNREADABLE_FILE: "a file cannot be read or written",
    ExitCode.DAMAGED_WEIGHTS: "the network's weights are missing or damaged",
    ExitCode.NO_TRAINING_DATA: "training data, a starting point, an earlier stage or a package for "
    "training is missing",
    ExitCode.BUDGET_MISSED: "bench: a figure is outside its budget",
    ExitCode.INTERRUPTED: "stopped before the end: by Ctrl-C or SIGTERM without a window, with "
    "replay --out also by closing the window",
}

# Looked up along the method resolution order, so that the most particular class decides.
_CODES: Final = {
    "realtime.config.ConfigError": ExitCode.WRONG_USE,
    "models.files.SameFileError": ExitCode.WRONG_USE,
    "realtime.sources.base.UnreadableFileError": ExitCode.UNREADABLE_FILE,
    "realtime.sources.base.NoDeviceError": ExitCode.NO_DEVICE,
    "realtime.sources.base.SourceError": ExitCode.NO_DEVICE,
    "models.paper.convert.UnreadableWeightsError": ExitCode.UNREADABLE_FILE,
    "models.checkpoint.CheckpointError": ExitCode.DAMAGED_WEIGHTS,
    "models.training.data.DataError": ExitCode.NO_TRAINING_DATA,
    "models.training.settings.RecipeError": ExitCode.WRONG_USE,
    "models.training.settings.StageError": ExitCode.NO_TRAINING_DATA,
    "models.training.starting_points.StartingPointError": ExitCode.NO_TRAINING_DATA,
    "builtins.OSError": ExitCode.UNREADABLE_FILE,
    "builtins.KeyboardInterrupt": ExitCode.INTERRUPTED,
}


_TRAINING_PACKAGES: Final = ("h5py", "scipy", "soundfile", "soxr")
"""What the extra `train` of pyproject.toml brings; the live program runs without."""


def explain(error: BaseException) -> tuple[ExitCode, str]:
    """Exit code and one sentence for `error`; UNEXPECTED when it is not of a known kind."""
    if isinstance(error, ModuleNotFoundError) and error.name in _TRAINING_PACKAGES:
        return ExitCode.NO_TRAINING_DATA, (
            f"training and evaluation need the package {error.name}, which is not installed: "
            'python -m pip install -c constraints.txt -e ".[train]"'
        )
    for kind in type(error).__mro__:
        code = _CODES.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code, _sentence(error)
    return ExitCode.UNEXPECTED, f"unexpected failure: {type(error).__name__}: {error}"


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    if isinstance(error, OSError) and error.strerror:
        if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
            folder = Path(error.filename).parent
            if not folder.exists():
                return f"there is no folder {folder}: create it, or choose another place"
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno == errno.ENOSPC
        return f"{where}{'no room left on the disk' if full else error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__
