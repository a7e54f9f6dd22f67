"""The real live path: a network camera on loopback, a virtual microphone, the shipped weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.emotion.task import emotion_task
from realtime.live import LiveSession
from realtime.messages import Prediction, SessionState, VideoPacket
from realtime.recording.recording import Recording
from tests.fakes.mjpeg_server import Image, MjpegServer
from tests.fakes.pulse import VirtualMicrophone
from tests.fakes.waiting import wait_for


def pictures_and_sound(path: Path, seconds: float) -> tuple[list[Image], np.ndarray]:  # type: ignore[type-arg]
    """The first pictures and the mono sound of a recording."""
    pictures, sound = [], []
    with Recording(path) as recording:
        for packet in recording:
            if isinstance(packet, VideoPacket):
                if packet.timestamp < seconds:
                    pictures.append(packet.image)
            else:
                rate = packet.sample_rate
                sound.append(packet.samples.mean(axis=1))
    assert rate == VirtualMicrophone.sample_rate
    return pictures, np.concatenate(sound)


def test_camera_and_microphone_are_answered_in_step(demo: Path) -> None:
    pictures, sound = pictures_and_sound(demo, 5.0)
    with MjpegServer(pictures) as camera, VirtualMicrophone() as microphone:
        session = LiveSession(
            emotion_task(device="cpu"),
            camera=camera.url,
            microphone="default",
        )
        session.start()
        try:
            wait_for(lambda: session.snapshot().state is SessionState.RUNNING, "the network")
            microphone.play(np.tile(sound, 4))

            def fused() -> list[Prediction]:
                return [
                    each
                    for each in session.history()
                    if all(report.present for report in each.modalities)
                ]

            wait_for(lambda: len(fused()) >= 10, "answers of face and voice together")
            answers, health = fused(), session.health()
        finally:
            session.stop()
    newest = answers[-1]
    assert newest.probabilities is not None
    assert newest.probabilities.sum() == pytest.approx(1, abs=1e-4)
    shares = [report.share for report in newest.modalities]
    assert all(share is not None and 0 < share < 1 for share in shares)
    # In step: both streams are stamped within a quarter of a second of each other, and the newest
    # face of a window is about as new as its sound.
    assert health.sound_offset is not None
    assert abs(health.sound_offset) < 0.25
    assert newest.face is not None
    assert -0.05 < newest.window_end - newest.face.timestamp < 0.5
