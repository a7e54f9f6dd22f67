"""Makes small data sets in the official layout of RAVDESS, CMU-MOSEI and NTU RGB+D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from models.training.paper.mosei import official_folds

Image = NDArray[np.uint8]
Videos = dict[str, tuple[NDArray[Any], NDArray[Any]]]


def write_video(
    path: Path,
    pictures: Sequence[Image],
    rate: int = 20,
    sound: NDArray[np.float32] | None = None,
    codec: str = "mpeg4",
) -> Path:
    """RGB pictures (height, width, 3) and sound (n_samples, n_channels) at 48 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        track: Any = None
        if sound is not None:
            track = container.add_stream("aac", rate=48000)
            track.layout = "mono" if sound.shape[1] == 1 else "stereo"
            track.format = "fltp"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_sound(container, track, sound)
    return path


def write_wav(path: Path, sound: NDArray[np.float32]) -> Path:
    """Sound (n_samples, n_channels) at 48 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("pcm_s16le", rate=48000)
        track.layout = "mono" if sound.shape[1] == 1 else "stereo"
        _write_sound(container, track, sound)
    return path


def _write_sound(container: Any, track: Any, sound: NDArray[np.float32]) -> None:
    planar = np.ascontiguousarray(sound.T)
    frame = av.AudioFrame.from_ndarray(
        planar, format="fltp", layout="mono" if len(planar) == 1 else "stereo"
    )
    frame.sample_rate = 48000
    resampler = av.AudioResampler(
        format=track.format.name,
        layout=track.layout.name,
        rate=48000,
        frame_size=track.codec_context.frame_size or 1024,
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(track.encode(part))
    container.mux(track.encode(None))


def tone(frequency: float, seconds: float = 3.2, channels: int = 1) -> NDArray[np.float32]:
    """A sine at 48 kHz, (n_samples, n_channels)."""
    time = np.arange(round(seconds * 48000)) / 48000
    wave = 0.3 * np.sin(2 * np.pi * frequency * time)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


# RAVDESS


@dataclass
class Found:
    """A face that a finder reports."""

    box: NDArray[np.float32]
    score: float = 1.0


class BrightFace:
    """Finds the bright square that stands for a face."""

    def detect(self, image: Image) -> list[Found]:
        height, width = image.shape[:2]
        rows, columns = np.nonzero(image.max(axis=2) > 128)
        if len(rows) == 0:
            return []
        left, top = columns.min(), rows.min()
        right, bottom = columns.max() + 1, rows.max() + 1
        box = [left / width, top / height, (right - left) / width, (bottom - top) / height]
        return [Found(np.array(box, np.float32))]


def face_pictures(
    colour: tuple[int, int, int], count: int = 12, size: tuple[int, int] = (96, 64), drift: int = 0
) -> list[Image]:
    """A bright square of 24 pixels on dark ground, `drift` pixels further right per picture."""
    pictures = []
    for index in range(count):
        picture = np.full((size[1], size[0], 3), 20, np.uint8)
        left = 30 + drift * index
        picture[20:44, left : left + 24] = colour
        pictures.append(picture)
    return pictures


def ravdess(root: Path, actors: Sequence[int], emotions: Sequence[int] = (1, 3, 5)) -> Path:
    """Videos that differ in colour and pitch by emotion, so that something can be learned."""
    for actor in actors:
        for emotion in emotions:
            name = f"01-01-{emotion:02d}-01-01-01-{actor:02d}.mp4"
            colour = (255, 30 * emotion, 255 - 30 * emotion)
            write_video(
                root / f"Actor_{actor:02d}" / name,
                face_pictures(colour),
                rate=4,
                sound=tone(200.0 * emotion + actor, seconds=3.0),
            )
    return root


# CMU-MOSEI


def write_csd(
    path: Path, videos: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], name: str | None = None
) -> Path:
    """A computational sequence: video → (features, intervals)."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        root = file.create_group(name or path.stem)
        for video, (features, intervals) in videos.items():
            group = root.create_group(f"data/{video}")
            group["features"], group["intervals"] = features, intervals
        root.create_group("metadata")["root name"] = np.array([b"name"])
    return path


def fold_videos(fold: str, count: int) -> list[str]:
    """Some videos of an official fold."""
    return sorted(video for video, of in official_folds().items() if of == fold)[:count]


def mosei(root: Path, counts: Mapping[str, int], bert: bool = True) -> Path:
    """Videos of two utterances; sentiment shows in all three modalities."""
    rng = np.random.default_rng(0)
    labels: Videos = {}
    face: Videos = {}
    voice: Videos = {}
    words: Videos = {}
    meanings: Videos = {}
    for fold, count in counts.items():
        for video in fold_videos(fold, count):
            sentiment = np.round(rng.uniform(-3, 3, 2), 1)
            labels[video] = (
                np.concatenate([sentiment[:, None], np.zeros((2, 6))], axis=1),
                np.array([[0.5, 3.0], [3.0, 5.5]]),
            )
            times = np.linspace(0.5, 5.5, 13)
            spans = np.stack([times[:-1], times[1:]], axis=1)
            of_word = np.repeat(sentiment, 6)
            said = [b"sp" if index == 4 else f"word{index}".encode() for index in range(12)]
            words[video] = np.array(said, dtype="S16")[:, None], spans
            meanings[video] = rng.normal(size=(12, 768)) + of_word[:, None], spans
            for target, rate, width in ((face, 10, 35), (voice, 50, 74)):
                begin = np.arange(0.0, 6.0, 1 / rate)
                mood = np.where(begin < 3.0, sentiment[0], sentiment[1])
                target[video] = (
                    rng.normal(size=(len(begin), width)) + mood[:, None],
                    np.stack([begin, begin + 1 / rate], axis=1),
                )
    voice[next(iter(voice))][0][3, 5] = -np.inf  # COVAREP has such numbers
    write_csd(root / "labels" / "CMU_MOSEI_Labels.csd", labels, "All Labels")
    write_csd(root / "visual" / "CMU_MOSEI_VisualFacet42.csd", face, "FACET_4.2")
    write_csd(root / "acoustic" / "CMU_MOSEI_COVAREP.csd", voice, "COVAREP")
    write_csd(root / "language" / "CMU_MOSEI_TimestampedWords.csd", words, "words")
    if bert:
        write_csd(root / "language" / "CMU_MOSEI_TimestampedBERT.csd", meanings, "bert")
    return root


# NTU RGB+D

Body = NDArray[np.float64]  # (25, 5): x, y, z in metres, column and row of 1920 x 1080


def standing(x: float, *, column: float, row: float = 500.0, height: float = 200.0) -> Body:
    """Somebody who stands at x, 3 m away; joints spread over `height` rows of the picture."""
    share = np.linspace(0.0, 1.0, 25)
    return np.stack(
        [x + 0.1 * share, share - 0.5, 3 + 0 * share, column + 20 * share, row + height * share],
        axis=1,
    )


def write_skeleton(path: Path, frames: Sequence[Mapping[int, Body]]) -> Path:
    """A .skeleton file: per frame, identity → joints."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for identity, joints in bodies.items():
            lines += [f"7205759403792{identity:04d} 0 1 1 1 1 0 0.02 -0.24 2", "25"]
            for x, y, z, column, row in joints:
                lines.append(
                    f"{x:.6f} {y:.6f} {z:.6f} 250.1 190.2 {column:.4f} {row:.4f} 0 0 0 1 2"
                )
    path.write_text("\n".join(lines) + "\n")
    return path


def ntu_name(setup: int, camera: int, subject: int, action: int, repetition: int = 1) -> str:
    return f"S{setup:03d}C{camera:03d}P{subject:03d}R{repetition:03d}A{action:03d}"


def ntu(root: Path, subjects: Sequence[int], actions: Sequence[int] = (1, 2)) -> Path:
    """Samples in which the hand waves and the picture's colour tells the action."""
    for subject in subjects:
        for action in actions:
            name = ntu_name(1, 1 + subject % 3, subject, action)
            colour = (255, 0, 0) if action == 1 else (0, 0, 255)
            picture = np.full((72, 128, 3), 30, np.uint8)
            picture[20:60, 50:80] = colour
            write_video(root / "nturgbd_rgb" / f"{name}_rgb.avi", [picture] * 20, rate=30)
            frames = []
            for index in range(20):
                body = standing(0.1 * action * index, column=900.0)
                frames.append({1: body} if action == 1 else {1: body, 2: standing(1.0, column=990)})
            write_skeleton(root / "nturgbd_skeletons" / f"{name}.skeleton", frames)
    return root
