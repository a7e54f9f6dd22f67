"""Microphones and loudspeakers, and PortAudio, which opens them.

Thread: any. sounddevice is imported when first needed: the program runs without PortAudio, and
starts faster without it. Rates in Hz.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from realtime.devices.listing import Listing, MicrophoneInfo
from realtime.sources.base import NoDeviceError, SourceError

logger = logging.getLogger(__name__)

# ALSA's plugins that convert for others and are no devices.
_CONVERTERS: Final = frozenset(
    {"dmix", "dsnoop", "jack", "lavrate", "null", "oss", "samplerate"}
    | {"speex", "speexrate", "upmix", "usbstream", "vdownmix"}
)
# Parts that PortAudio cuts ALSA's buffers into, 4 unless it is told: a part is handed over at once,
# so that a microphone's blocks can be no smaller.
ALSA_PERIODS: Final = 8
PORTAUDIO_PATIENCE_SECONDS: Final = 5.0  # sound servers take seconds to wake sleeping devices
_SILENT: Final = "the sound system does not answer: start it or the computer anew"


class PortAudio:
    """sounddevice, loaded when first needed, its list of devices renewed while no stream is open.

    PortAudio looks for devices only when it is initialised, so what is plugged in later is found by
    doing that again, which would break an open stream. Thread: any; one lock, held while devices
    are listed, opened or closed. A driver or a sound server may keep it for good, so that nobody
    waits long for it, and what may hang is done on a thread of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._initialised = True  # as importing sounddevice does
        self._streams = 0

    @property
    def in_use(self) -> bool:
        """Whether a stream is open, so that the list of devices stays as it is."""
        return self._streams > 0

    @contextmanager
    def devices(self) -> Iterator[Any]:
        """The module sounddevice with a list of devices as new as may be.

        Nobody else lists, opens or closes meanwhile. Raises SourceError where PortAudio is missing,
        does not work or does not come back, also while it is asked: a device may go between two
        questions.
        """
        if not self._lock.acquire(timeout=PORTAUDIO_PATIENCE_SECONDS):
            raise SourceError(_SILENT)
        renewed: Future[Any] = Future()
        asked = False
        try:
            if sys.platform == "win32":  # whose devices open on the thread that asked (COM)
                self._renew(renewed)
            else:
                threading.Thread(
                    target=self._renew, args=(renewed,), name="asking for sound", daemon=True
                ).start()
            asked = True
            sounddevice = renewed.result(PORTAUDIO_PATIENCE_SECONDS)
        except BaseException as error:
            if asked:  # who hangs in PortAudio keeps it
                renewed.add_done_callback(lambda _: self._lock.release())
            else:
                self._lock.release()
            raise SourceError(_SILENT) if isinstance(error, TimeoutError) else error from None
        try:
            yield sounddevice
        # A device's name may be in no known code.
        except (sounddevice.PortAudioError, UnicodeDecodeError) as error:
            raise SourceError(f"the sound system does not answer: {error}") from error
        finally:
            self._lock.release()

    def _renew(self, renewed: Future[Any]) -> None:
        """Load sounddevice, or have it look for devices anew. Thread: see `devices`."""
        is_new = "sounddevice" not in sys.modules
        try:
            import sounddevice

            _cut_finely(sounddevice)
            if not is_new and not self.in_use:
                if self._initialised:
                    sounddevice._terminate()
                    self._initialised = False
                sounddevice._initialize()
                self._initialised = True
        except OSError:
            error = SourceError(
                "the sound library PortAudio is missing: install it with "
                "`sudo apt install libportaudio2` and start again"
            )
        except Exception as failure:  # sounddevice.PortAudioError; its class needs the import
            error = SourceError(f"the sound system does not answer: {failure}")
        else:
            renewed.set_result(sounddevice)
            return
        renewed.set_exception(error)

    def opened(self) -> None:
        """A stream was opened; call it inside `devices`."""
        self._streams += 1

    @staticmethod
    def is_active(stream: Any) -> bool:
        """Whether an open stream runs; one that PortAudio cannot tell of any more does not."""
        import sounddevice

        try:
            return bool(stream.active)
        except sounddevice.PortAudioError as error:
            logger.info("a sound stream does not answer: %s", error)
            return False

    def close(self, stream: Any) -> None:
        """Close a stream that was told of by `opened`.

        One whose driver hangs is left alone, and the list of devices stays as it is until that
        ends: a device can be opened again beside it. PulseAudio's library hangs for good now and
        then when its server ends while sound is in memory that both share.
        """
        closing = threading.Thread(
            target=self._close, args=(stream,), name="closing sound", daemon=True
        )
        closing.start()
        closing.join(PORTAUDIO_PATIENCE_SECONDS)
        if closing.is_alive():
            logger.warning("a sound stream cannot be closed, and was left to its driver")

    def _close(self, stream: Any) -> None:
        # abort, not stop: what is still in the buffers is of no use to anybody.
        stream.abort(ignore_errors=True)
        with self._lock:
            stream.close(ignore_errors=True)
            self._streams -= 1


def _cut_finely(sounddevice: Any) -> None:
    """Have ALSA's buffers cut into ALSA_PERIODS, those of loudspeakers too.

    sounddevice has no word for it, and where others have loaded it, is not new.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # AttributeError: built without ALSA
            ctypes.CDLL(sounddevice._libname).PaAlsa_SetNumPeriods(ALSA_PERIODS)


PORTAUDIO: Final = PortAudio()
"""The one of this process, as PortAudio itself is."""


def list_microphones() -> Listing[MicrophoneInfo]:
    """Microphones of the system's usual interface; raises nothing."""
    try:
        with PORTAUDIO.devices() as sounddevice:
            found = microphones(sounddevice)
            renewed = not PORTAUDIO.in_use
    except SourceError as error:
        return Listing(problem=str(error), fault=True)
    except Exception as error:
        logger.info("microphones cannot be listed", exc_info=True)
        return Listing(problem=f"microphones cannot be listed: {error}", fault=True)
    if not renewed:
        problem = "new microphones are found only while no sound is recorded or played"
    else:
        problem = "" if found else "no microphone was found: plug one in"
    return Listing(found, problem)


def microphones(sounddevice: Any) -> list[MicrophoneInfo]:
    """What PortAudio lists, without what is no device.

    Call it inside `PORTAUDIO.devices`, which turns PortAudio's errors into SourceError.
    """
    number, api = _host_api(sounddevice)
    if api is None:
        return []
    default = api["default_input_device"]
    inputs = [
        device
        for device in sounddevice.query_devices()
        if device["hostapi"] == number
        and device["max_input_channels"] > 0
        and device["name"] not in _CONVERTERS
    ]
    named = Counter(device["name"] for device in inputs)
    return [
        MicrophoneInfo(
            index=device["index"],
            name=device["name"],
            selector=device["name"] if named[device["name"]] == 1 else str(device["index"]),
            channels=device["max_input_channels"],
            sample_rate=round(device["default_samplerate"]),
            host_api=api["name"],
            is_default=device["index"] == default,
        )
        for device in inputs
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoudspeakerInfo:
    """The device that plays the system's sounds."""

    index: int
    name: str
    channels: int  # at most
    sample_rate: int  # its own


def loudspeaker(sounddevice: Any) -> LoudspeakerInfo:
    """Where sound is heard. Call it inside `PORTAUDIO.devices`; raises NoDeviceError."""
    _, api = _host_api(sounddevice)
    index = -1 if api is None else api["default_output_device"]
    if index < 0:
        raise NoDeviceError("there is no loudspeaker: plug one in, or headphones")
    device = sounddevice.query_devices(index)
    return LoudspeakerInfo(
        index=index,
        name=device["name"],
        channels=device["max_output_channels"],
        sample_rate=round(device["default_samplerate"]),
    )


def _host_api(sounddevice: Any) -> tuple[int, Any]:
    """Number and description of the system's usual interface, None where there is none.

    On Windows every device is there once per interface; WASAPI has the full names and the shortest
    delay.
    """
    apis = sounddevice.query_hostapis()
    names = [api["name"] for api in apis]
    number = sounddevice.default.hostapi
    if "Windows WASAPI" in names:
        number = names.index("Windows WASAPI")
    return number, apis[number] if 0 <= number < len(apis) else None
