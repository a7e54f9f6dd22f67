"""Make the demo recording, realtime/data/demo.mp4, from free material.

A still portrait is given a little life: the camera moves, the head sways, the face smiles, speaks,
blinks and is surprised, and once it leaves the picture while the voice goes on. The voice is
espeak-ng's. Where everything comes from is in realtime/data/LICENSE.md.

    pip install scikit-image && apt-get install espeak-ng
    python scripts/make_demo.py [FILE]

All lengths are in pixels of the enlarged portrait, all times in seconds.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import soxr
from numpy.typing import NDArray
from skimage.data import astronaut

Array = NDArray[np.float32]
Image = NDArray[np.uint8]

SIZE: Final = (640, 480)
FRAME_RATE: Final = 30
SAMPLE_RATE: Final = 48000
SECONDS: Final = 10.0
ENLARGE: Final = 3  # portrait → canvas, so that small movements are smooth
SEED: Final = 2012

# Landmarks of mediapipe's face mesh, from image-left to image-right
UPPER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIDS: Final = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
BROWS: Final = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))
MOUTH_CORNERS: Final = (61, 291)
CHIN: Final = 152


@dataclass(frozen=True)
class Sentence:
    """What is said, when and how."""

    start: float
    text: str
    pitch: int  # espeak-ng's 0..99
    speed: int  # words a minute
    gain: float


SENTENCES: Final = (
    Sentence(0.7, "Hello! This is the demo recording. What a lovely day!", 72, 165, 1.0),
    Sentence(4.3, "Oh! What was that?", 90, 150, 1.2),
    Sentence(6.1, "Now the face is gone, but there is still a voice.", 38, 160, 0.7),
)


# -- sound ----------------------------------------------------------------------------------------


def speech() -> Array:
    """The whole sound, (n_samples,) in [-1, 1]."""
    sound = np.zeros(round(SECONDS * SAMPLE_RATE), np.float32)
    for sentence in SENTENCES:
        voice = spoken(sentence)
        first = round(sentence.start * SAMPLE_RATE)
        voice = voice[: len(sound) - first]
        sound[first : first + len(voice)] += voice
    sound = in_a_room(sound)
    chance = np.random.default_rng(SEED)
    hiss = chance.normal(0.0, 1.0, len(sound)).astype(np.float32)
    return (0.5 * sound / np.abs(sound).max() + 0.0006 * hiss).astype(np.float32)


def spoken(sentence: Sentence) -> Array:
    """One sentence from espeak-ng at SAMPLE_RATE."""
    command = ["espeak-ng", "-v", "en-us+f3", "-p", str(sentence.pitch), "-s", str(sentence.speed)]
    made = subprocess.run([*command, "--stdout", sentence.text], check=True, capture_output=True)
    blocks = []
    with av.open(io.BytesIO(made.stdout)) as container:
        rate = container.streams.audio[0].rate
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    voice = np.concatenate(blocks).astype(np.float32) / 32768.0
    return sentence.gain * soxr.resample(voice, rate, SAMPLE_RATE).astype(np.float32)


def in_a_room(sound: Array) -> Array:
    """Add the soft echo of a small room, without which the voice sounds like a telephone."""
    chance = np.random.default_rng(SEED)
    length = round(0.18 * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    echo = chance.normal(0.0, 1.0, length) * np.exp(-time / 0.035) * (time > 0.004)
    echo *= 0.25 / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    size = 1 << (len(sound) + length).bit_length()
    mixed = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)
    return mixed[: len(sound)].astype(np.float32)


def loudness(sound: Array) -> Array:
    """How loud the speech is in each picture, 0..1, (n_frames,)."""
    step = SAMPLE_RATE // FRAME_RATE
    power = np.sqrt(np.mean(sound.reshape(-1, step) ** 2, axis=1))
    smooth = np.convolve(power, (0.25, 0.5, 0.25), "same")
    return np.clip(smooth / np.percentile(smooth, 95), 0.0, 1.0).astype(np.float32)


# -- movement -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pose:
    """What face and camera do in one picture; 0 is the portrait as it is."""

    smile: float  # 1 deeper, -1 none
    lips_closed: float  # 0..1
    mouth_open: float  # pixels
    brows: float  # pixels upwards
    blink: float  # 0..1
    tilt: float  # degrees of the head
    nod: float  # pixels downwards
    camera: tuple[float, float, float]  # centre x, y and width of what is seen, pixels


def eased(time: float, *points: tuple[float, float]) -> float:
    """Value at `time` of a curve that goes smoothly from point to point (time, value)."""
    times, values = zip(*points, strict=True)
    right = int(np.searchsorted(times, time, side="right"))
    if right == 0 or right == len(times):
        return float(values[min(right, len(times) - 1)])
    share = (time - times[right - 1]) / (times[right] - times[right - 1])
    share = share * share * (3 - 2 * share)
    return float(values[right - 1] + share * (values[right] - values[right - 1]))


def pose_at(time: float, loud: float) -> Pose:
    """The script of the film."""
    surprise = eased(time, (4.15, 0), (4.4, 1), (5.5, 1), (5.9, 0))
    blinks = (0.45, 2.2, 3.9, 5.75, 9.2)
    gone = eased(time, (5.95, 0), (6.5, 1), (8.5, 1), (9.05, 0))
    sway = np.sin(2 * np.pi * time / 4.7)
    hand_x = 6 * np.sin(2 * np.pi * time / 3.1) + 3 * np.sin(2 * np.pi * time / 1.3 + 1)
    hand_y = 4 * np.sin(2 * np.pi * time / 2.7 + 2) + 2 * np.sin(2 * np.pi * time / 1.1)
    return Pose(
        smile=eased(
            time,
            (0.3, -0.9),
            (0.9, 0.8),
            (3.4, 1),
            (4.3, -1.3),
            (5.5, -1.3),
            (6, -0.7),
            (8.8, -0.9),
            (10, 0),
        ),
        lips_closed=eased(
            time, (0.3, 0.9), (0.8, 0.1), (3.7, 0.1), (4.2, 0.3), (5.6, 0.6), (8.8, 0.9), (9.6, 0.4)
        ),
        mouth_open=(12 - 6 * surprise) * loud + 24 * surprise,
        brows=11 * surprise + 2 * loud,
        blink=max(max(0.0, 1 - abs(time - each) / 0.1) for each in blinks),
        tilt=2.2 * sway - 1.5 * surprise,
        nod=5 * np.sin(2 * np.pi * time / 3.3) - 6 * surprise + 3 * loud,
        camera=(
            680 + hand_x + eased(time, (0, -40), (5, 30), (10, -20)),
            380 + hand_y + 560 * gone,
            eased(time, (0, 1000), (4, 860), (4.5, 800), (6, 860), (10, 980)),
        ),
    )


class Portrait:
    """The enlarged portrait and what moves in it."""

    def __init__(self) -> None:
        still = astronaut()
        self.canvas: Image = cv2.resize(
            still, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_LANCZOS4
        )
        self.points = landmarks(self.canvas)
        left, top = self.points.min(axis=0)
        right, bottom = self.points.max(axis=0)
        size = float(bottom - top)
        self.size = size
        self.middle = np.array([(left + right) / 2, (top + bottom) / 2])
        # All that changes lies in here; the rest of the canvas stays.
        self.left, self.right = int(left - 0.9 * size), int(right + 0.9 * size)
        self.top, self.bottom = max(0, int(top - 0.8 * size)), int(bottom + 0.6 * size)
        rows, columns = np.mgrid[self.top : self.bottom, self.left : self.right]
        self.x, self.y = columns.astype(np.float32), rows.astype(np.float32)

    def curve(self, indices: tuple[int, ...], x: Array) -> tuple[Array, Array]:
        """Height of the line through landmarks at each x, and where x is inside it, -1..1."""
        line = self.points[list(indices)]
        height = np.interp(x, line[:, 0], line[:, 1]).astype(np.float32)
        inside = 2 * (x - line[0, 0]) / (line[-1, 0] - line[0, 0]) - 1
        return height, np.clip(inside, -1, 1).astype(np.float32)

    def draw(self, pose: Pose) -> Image:
        """The canvas in this pose."""
        x, y = self._swayed(pose)
        x, y = self._expressed(pose, x, y)
        y = self._blinked(pose, x, y)
        canvas = self.canvas.copy()
        canvas[self.top : self.bottom, self.left : self.right] = self._spoken(pose, x, y)
        return canvas

    def _swayed(self, pose: Pose) -> tuple[Array, Array]:
        """The head turned about the neck; the background gives way smoothly."""
        neck = self.middle + np.array([0, 0.75 * self.size])
        distance = np.hypot((self.x - self.middle[0]) / 0.95, self.y - self.middle[1] + 10)
        weight = np.clip(1.45 - distance / (0.95 * self.size), 0, 1)
        weight *= np.clip((neck[1] - self.y) / (0.5 * self.size), 0, 1)
        weight = weight * weight * (3 - 2 * weight)
        angle = np.radians(pose.tilt) * weight
        x, y = self.x - neck[0], self.y - neck[1] - pose.nod * weight
        turned_x = neck[0] + np.cos(angle) * x - np.sin(angle) * y
        turned_y = neck[1] + np.sin(angle) * x + np.cos(angle) * y
        return turned_x.astype(np.float32), turned_y.astype(np.float32)

    def _expressed(self, pose: Pose, x: Array, y: Array) -> tuple[Array, Array]:
        """Brows, mouth corners and cheeks, each a soft push."""
        size = self.size
        pushes: list[tuple[NDArray[np.float64], float, float, float]] = []
        for brow in BROWS:
            pushes.extend(
                (self.points[each], 0.0, -0.55 * pose.brows, 0.09 * size) for each in brow[1:4]
            )
        for corner, side in zip(MOUTH_CORNERS, (-1, 1), strict=True):
            at = self.points[corner]
            pushes.append(
                (at, side * 0.022 * size * pose.smile, -0.028 * size * pose.smile, 0.11 * size)
            )
            cheek = at + np.array([side * 0.09 * size, -0.2 * size])
            pushes.append((cheek, 0.0, -0.014 * size * max(pose.smile, 0), 0.13 * size))
        out_x, out_y = x.copy(), y.copy()
        for at, push_x, push_y, radius in pushes:
            near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2))
            out_x -= push_x * near
            out_y -= push_y * near
        return out_x, out_y

    def _blinked(self, pose: Pose, x: Array, y: Array) -> Array:
        """Upper lids drawn down over the eyes, their skin stretched from the brow."""
        if pose.blink <= 0:
            return y
        out = y.copy()
        for (upper, lower), brow in zip(LIDS, BROWS, strict=True):
            lid, inside = self.curve(upper, x)
            floor, _ = self.curve(lower, x)
            ceiling = float(self.points[list(brow)][:, 1].max())
            drop = pose.blink * np.maximum(floor - lid, 0) * (1 - inside**6)
            stretched = ceiling + (y - ceiling) * (lid - ceiling) / (lid + drop - ceiling)
            skin = (y > ceiling) & (y < lid + drop) & (np.abs(inside) < 1)
            # Behind the lid nothing of the eye is left to see.
            out = np.where(skin, stretched, out)
        return out.astype(np.float32)

    def _spoken(self, pose: Pose, x: Array, y: Array) -> Image:
        """The lower lip and chin as a layer that slides over the teeth or away from them."""
        lower, inside = self.curve(LOWER_LIP, x)
        upper, _ = self.curve(UPPER_LIP, x)
        shape = (1 - inside**2) ** 0.8
        slide = pose.mouth_open * shape - pose.lips_closed * np.maximum(lower - upper, 0)
        end = float(self.points[CHIN, 1]) + 0.35 * self.size
        below = end - (end - y) * (end - lower) / np.maximum(end - lower - slide, 1)
        below = np.where((y < end) & (np.abs(inside) < 1), below, y).astype(np.float32)
        still = cv2.remap(self.canvas, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        moved = cv2.remap(self.canvas, x, below, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        layer = _soft(below - lower)
        cavity = _soft(y - lower - 1.0)
        depth = np.clip((y - lower) / 30, 0, 1)[..., None]
        dark = np.array([62, 24, 22]) * (1 - 0.5 * depth)
        behind = still + cavity[..., None] * (dark - still)
        drawn = behind + layer[..., None] * (moved - behind)
        apart = np.abs(inside)[..., None] >= 1
        return np.clip(np.where(apart, still, drawn), 0, 255).astype(np.uint8)


def _soft(distance: Array) -> Array:
    """0 to 1 over a few pixels around 0, so that edges are as soft as the portrait's."""
    return np.clip(0.5 + distance / 4.0, 0, 1)


def landmarks(image: Image) -> NDArray[np.float64]:
    """mediapipe's face mesh, (478, 2) in pixels."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    with FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        found: Any = mesh.process(image).multi_face_landmarks
    height, width = image.shape[:2]
    return np.array([[point.x * width, point.y * height] for point in found[0].landmark])


def seen(canvas: Image, camera: tuple[float, float, float]) -> Image:
    """What the camera sees of the canvas, in SIZE."""
    centre_x, centre_y, width = camera
    scale = SIZE[0] / width
    matrix = np.array(
        [
            [scale, 0, SIZE[0] / 2 - scale * centre_x],
            [0, scale, SIZE[1] / 2 - scale * centre_y],
        ]
    )
    # The canvas is shown smaller than it is; without this, edges would shimmer.
    softened = cv2.GaussianBlur(canvas, (0, 0), 0.35 / scale)
    picture: Image = cv2.warpAffine(
        softened, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return picture


# -- film -----------------------------------------------------------------------------------------


def write(path: Path) -> None:
    """Make the film."""
    sound = speech()
    loud = loudness(sound)
    portrait = Portrait()
    chance = np.random.default_rng(SEED)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        pictures = container.add_stream(
            "libx264", rate=FRAME_RATE, options={"crf": "23", "preset": "veryslow"}
        )
        pictures.width, pictures.height = SIZE
        pictures.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        track.bit_rate = 96000
        step = SAMPLE_RATE // FRAME_RATE
        for index in range(round(SECONDS * FRAME_RATE)):
            pose = pose_at(index / FRAME_RATE, float(loud[index]))
            picture = seen(portrait.draw(pose), pose.camera)
            grain = chance.normal(0.0, 1.2, (*picture.shape[:2], 1))
            picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(pictures.encode(frame))
            block = av.AudioFrame.from_ndarray(
                sound[None, index * step : (index + 1) * step], format="fltp", layout="mono"
            )
            block.sample_rate, block.pts = SAMPLE_RATE, index * step
            block.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(track.encode(block))
        container.mux(pictures.encode(None))
        container.mux(track.encode(None))


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "realtime" / "data" / "demo.mp4"
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
