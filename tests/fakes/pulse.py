"""A microphone without hardware: a PulseAudio server of its own, with a null sink to listen to.

What is played into the sink is what PortAudio's default device records. The environment variables
that lead there are set while the `with` block runs; PortAudio reads them when it is initialised,
which realtime/devices/sound.py does anew whenever nobody records. A program started inside it
finds the microphone as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import numpy as np
import pytest

from models.arrays import FloatArray

PATIENCE_SECONDS = 20.0


class VirtualMicrophone:
    """Runs the server and plays into it; skips the test where PulseAudio is not installed."""

    sample_rate = 48000

    def __init__(self) -> None:
        missing = [name for name in ("pulseaudio", "pactl", "pacat") if not shutil.which(name)]
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed")
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        self._exit = ExitStack()

    def play(self, sound: Path | FloatArray) -> None:
        """Play a WAV or FLAC file, or samples (n,) at `sample_rate`, and return at once."""
        if isinstance(sound, Path):
            self._run("--file-format", os.fspath(sound))
            return
        with tempfile.TemporaryFile() as file:
            file.write(np.ascontiguousarray(sound, np.float32).tobytes())
            file.seek(0)
            self._run(
                "--raw", "--format=float32", "--channels=1", f"--rate={self.sample_rate}", file=file
            )

    def _run(self, *options: str, file: IO[bytes] | None = None) -> None:
        command = ["pacat", "--playback", "--device=vmic", "--latency-msec=20", *options]
        self._players.append(subprocess.Popen(command, stdin=file))

    def stop_playing(self) -> None:
        """Silence."""
        for player in self._players:
            player.kill()
            player.wait()
        self._players.clear()

    def unplug(self) -> None:
        """End the server, and with it the microphone."""
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(5.0)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None

    def plug_in(self) -> None:
        """Start the server, and wait until it can be used."""
        # A null sink has a clock of its own, which ALSA's null and file plugins have not.
        modules = (
            "module-native-protocol-unix",
            f"module-null-sink sink_name=vmic rate={self.sample_rate} channels=1",
            "module-remap-source master=vmic.monitor source_name=vmicsrc",
        )
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        for module in modules:
            command += ["-L", module]
        self._server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._until(lambda: _succeeds("pactl", "set-default-source", "vmicsrc"))

    def _until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            assert self._server is not None
            if self._server.poll() is not None:
                pytest.skip("PulseAudio cannot run here")
            assert time.monotonic() < deadline, "PulseAudio did not start"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="pulse-"))
        patch = self._exit.enter_context(pytest.MonkeyPatch.context())
        # A home of its own too, where the server keeps its cookie.
        for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME"):
            patch.setenv(name, folder)
        for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "PULSE_COOKIE"):
            patch.delenv(name, raising=False)
        # Without memory shared with the server: its library may hang for good when that ends.
        config = Path(folder) / "pulse" / "client.conf"
        config.parent.mkdir()
        config.write_text("enable-shm = no\n")
        self._exit.callback(self.unplug)
        self._exit.callback(self.stop_playing)
        try:
            self.plug_in()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()


def _succeeds(*command: str) -> bool:
    return (
        subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10.0
        ).returncode
        == 0
    )
