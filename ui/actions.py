"""Everything the window can be told to do, with its keys; buttons, menu and help are made of it.

Thread: GUI.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QKeySequence

from ui import icons, palette


class _Entry(NamedTuple):
    text: str
    keys: tuple[str, ...]
    icon: str | None = None
    checkable: bool = False
    lit: str = palette.ACCENT  # colour of its icon while it is checked


_ENTRIES: Final = {
    "pause": _Entry("Pause", ("Space",), "pause"),
    "heatmap": _Entry("Heatmap over the face", ("H",), "heatmap", checkable=True),
    "mirror": _Entry("Mirror the picture", ("M",), "mirror", checkable=True),
    "sound": _Entry("Sound of the recording", ("S",), "speaker", checkable=True),
    "full_screen": _Entry("Full screen", ("F11", "F"), "full-screen", checkable=True),
    "escape": _Entry("Dismiss a notice, then leave full screen", ("Esc",)),
    "open": _Entry("Open recording…", ("Ctrl+O",), "open"),
    "demo": _Entry("Open the demo", ()),
    "live": _Entry("Go live", ("Ctrl+L",), "live"),
    "refresh": _Entry("Look for devices again", ("F5",), "refresh"),
    "back": _Entry("One second back", ("Left",)),
    "forward": _Entry("One second forward", ("Right",)),
    "far_back": _Entry("Five seconds back", ("Shift+Left",)),
    "far_forward": _Entry("Five seconds forward", ("Shift+Right",)),
    "begin": _Entry("To the beginning", ("Home",)),
    "end": _Entry("To the end", ("End",)),
    "slower": _Entry("Slower", ("[",)),
    "faster": _Entry("Faster", ("]",)),
    "zoom_in": _Entry("Zoom the timeline in", ("+",)),
    "zoom_out": _Entry("Zoom the timeline out", ("-",)),
    "zoom_whole": _Entry("The whole timeline", ("0",)),
    "write": _Entry(
        "Write answers to a file…", ("Ctrl+S",), "record", checkable=True, lit=palette.ERROR
    ),
    "export": _Entry("Export answers…", ("Ctrl+E",), "export"),
    "help": _Entry("Help", ("F1", "?"), "help"),
    "about": _Entry("About", (), "about"),
    "quit": _Entry("Quit", ("Ctrl+Q",), "quit"),
}

REPLAY_ONLY: Final = (
    "live", "back", "forward", "far_back", "far_forward", "begin", "end", "slower", "faster",
    "sound", "zoom_in", "zoom_out", "zoom_whole", "export",
)  # fmt: skip
LIVE_ONLY: Final = ("refresh", "write")
_ONCE: Final = ("live", "export")  # however long their keys are held down
# Of a recording that failed there is nothing to play, and to look at only what was analysed.
PLAYING: Final = ("pause", "slower", "faster", "sound")
LOOKING: Final = ("back", "forward", "far_back", "far_forward", "begin", "end", "export")
MENU: Final = (
    "open", "demo", "live", "write", "export", "", "pause", "heatmap", "mirror", "sound",
    "full_screen", "refresh",
    "", "help", "about", "", "quit",
)  # fmt: skip
HELP: Final = (
    ("Everywhere", ("pause", "heatmap", "mirror", "full_screen", "escape", "open",
                    "help", "quit")),
    ("Live", ("write", "refresh")),
    ("Recording", ("back", "far_back", "begin", "slower", "sound", "zoom_in", "zoom_whole",
                   "export", "live")),
)  # fmt: skip
PAIRS: Final = {"back": "forward", "far_back": "far_forward", "begin": "end", "slower": "faster",
               "zoom_in": "zoom_out"}  # fmt: skip


def make_actions(parent: QObject) -> dict[str, QAction]:
    """All actions by name; the window connects them."""
    actions = {}
    for name, entry in _ENTRIES.items():
        action = QAction(entry.text, parent)
        action.setShortcuts([QKeySequence(key) for key in entry.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setCheckable(entry.checkable)
        action.setAutoRepeat(name in REPLAY_ONLY and not (name in _ONCE or entry.checkable))
        if entry.icon is not None:
            action.setIcon(icons.icon(entry.icon, entry.lit))
            action.setIconVisibleInMenu(not entry.checkable)  # it would hide the check mark
            action.setIconText(f"\u2002{entry.text.rstrip('…')}")  # an en space after the icon
        name_for_people = entry.text.rstrip("…")
        action.setToolTip(
            f"{name_for_people} ({' or '.join(keys_of(action))})" if entry.keys else name_for_people
        )
        actions[name] = action
    return actions


def keys_of(action: QAction) -> list[str]:
    """The keys of an action as people write them on this system."""
    return [
        shortcut.toString(QKeySequence.SequenceFormat.NativeText) for shortcut in action.shortcuts()
    ]
