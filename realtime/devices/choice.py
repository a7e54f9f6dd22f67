"""Which devices there are, and which of them are opened.

Thread: any but for `chosen_devices`.
"""

from __future__ import annotations

from typing import NamedTuple

from realtime.devices.cameras import ask_for_camera, list_cameras
from realtime.devices.listing import CameraInfo, Listing, MicrophoneInfo
from realtime.devices.sound import list_microphones


def list_devices() -> tuple[Listing[CameraInfo], Listing[MicrophoneInfo]]:
    """Cameras and microphones; raises nothing, and may take as long as `list_cameras`."""
    return list_cameras(), list_microphones()


class Chosen(NamedTuple):
    """What to open."""

    camera: str | None  # selectors
    microphone: str | None
    faults: list[str]  # why devices that nobody chose could not be looked for
    found: tuple[Listing[CameraInfo], Listing[MicrophoneInfo]] | None  # where nobody chose any


def chosen_devices(camera: str | None, microphone: str | None) -> Chosen:
    """Selectors of what to open; what nobody chose is taken if there is one, "none" is none.

    A microphone's number means what it stands for now: it may be another one when it is opened.
    Thread: main, see `ask_for_camera`.
    """
    faults = []
    cameras = microphones = None
    if camera is None:
        cameras = list_cameras()
        camera = next((each.selector for each in cameras), None)
        faults += [cameras.problem] if cameras.fault else []
    else:
        ask_for_camera(camera)
    if microphone is None:
        microphones = list_microphones()
        microphone = "default" if microphones else None
        faults += [microphones.problem] if microphones.fault else []
    elif microphone.isdecimal():
        names = {str(each.index): each.selector for each in list_microphones()}
        microphone = names.get(microphone, microphone)
    camera, microphone = (None if each == "none" else each for each in (camera, microphone))
    found = None if cameras is None or microphones is None else (cameras, microphones)
    return Chosen(camera, microphone, faults, found)
