"""Make the demo recording, realtime/data/demo.mp4, from free material.

A still portrait is given a life: the camera moves, the head sways, the face speaks, blinks and
changes from one expression to the next, and once it leaves the picture while the voice goes on.
The portrait smiles; every other face is made of it by moving brows, lids, cheeks and lips and by
smoothing the folds of the smile. The voice is espeak-ng's. Where everything comes from is in
realtime/data/LICENSE.md.

    pip install scikit-image && apt-get install espeak-ng
    python scripts/make_demo.py [FILE]

All lengths are in pixels of the enlarged portrait, all times in seconds.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass, fields, replace
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
SECONDS: Final = 19.2
ENLARGE: Final = 3  # portrait → canvas, so that small movements are smooth
SEED: Final = 2012

# Landmarks of mediapipe's face mesh, from image-left to image-right
UPPER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIDS: Final = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
BROWS: Final = ((46, 53, 52, 65, 55), (276, 283, 282, 295, 285))
CHEEKS: Final = (
    (117, 118, 119, 100, 142, 129, 203, 206, 216, 57, 212, 214, 192, 187, 123),
    (346, 347, 348, 329, 371, 358, 423, 426, 436, 287, 432, 434, 416, 411, 352),
)
NOSE: Final = 2
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
    Sentence(0.4, "Here is a demo, for you all.", 15, 110, 0.6),
    Sentence(7.1, "Stop that! Go away! I have had enough!", 70, 200, 1.2),
    Sentence(9.7, "Now the face is gone, but there is still a voice.", 30, 180, 0.8),
    Sentence(13.1, "Oh! What is that?", 99, 170, 1.1),
    Sentence(15.3, "What a lovely day! I am so happy!", 60, 150, 1.0),
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
    mixed: Array = (0.5 * sound / np.abs(sound).max() + 0.0006 * hiss).astype(np.float32)
    return mixed


def spoken(sentence: Sentence) -> Array:
    """One sentence from espeak-ng at SAMPLE_RATE."""
    command = ["espeak-ng", "-v", "en-us+f3", "-p", str(sentence.pitch), "-s", str(sentence.speed)]
    made = subprocess.run([*command, "--stdout", sentence.text], check=True, capture_output=True)
    blocks = []
    with av.open(io.BytesIO(made.stdout), "r") as container:
        rate = container.streams.audio[0].rate
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    voice = np.concatenate(blocks).astype(np.float32) / 32768.0
    resampled: Array = soxr.resample(voice, rate, SAMPLE_RATE).astype(np.float32)
    return sentence.gain * resampled


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
    level: Array = np.clip(smooth / np.percentile(smooth, 95), 0.0, 1.0).astype(np.float32)
    return level


# -- movement -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """What the face does, pixels unless said; 0 is the portrait as it is, which smiles."""

    brows_up: float = 0
    inner_brows_up: float = 0
    inner_brows_down: float = 0
    brows_together: float = 0
    lids_up: float = 0
    nose_up: float = 0
    cheeks_down: float = 0
    cheeks_flat: float = 0  # 0..1: the light and the folds of the smile smoothed
    corners_in: float = 0
    corners_down: float = 0
    chin_down: float = 0
    lips_closed: float = 0  # 0..1
    arch: float = 0  # of the closed lips
    upper_lip_up: float = 0
    lower_lip_down: float = 0
    teeth_hidden: float = 0  # 0..1


@dataclass(frozen=True)
class Push:
    """How one movement of the face moves the skin about a landmark and its mirror image."""

    landmarks: tuple[int, int]
    outwards: float
    upwards: float
    radius: float  # share of the face's height


PUSHES: Final[dict[str, tuple[Push, ...]]] = {
    "brows_up": (
        Push((53, 283), 0, 0.6, 0.08),
        Push((52, 282), 0, 0.5, 0.08),
        Push((65, 295), 0, 0.5, 0.08),
    ),
    "inner_brows_up": (
        Push((46, 276), 0, -0.5, 0.06),
        Push((65, 295), 0, 0.4, 0.06),
        Push((55, 285), 0, 1, 0.06),
    ),
    "inner_brows_down": (Push((65, 295), 0, -0.5, 0.07), Push((55, 285), 0, -1, 0.06)),
    "brows_together": (Push((55, 285), -1, 0, 0.07),),
    "lids_up": (
        Push((160, 387), 0, 0.6, 0.02),
        Push((159, 386), 0, 1, 0.02),
        Push((158, 385), 0, 0.6, 0.02),
    ),
    "nose_up": (Push((49, 279), 0, 1, 0.06),),
    "cheeks_down": (Push((50, 280), 0, -1, 0.13),),
    "corners_in": (Push((61, 291), -1, 0, 0.10),),
    "corners_down": (Push((61, 291), 0, -1, 0.12),),
    "chin_down": (Push((CHIN, CHIN), 0, -0.5, 0.20),),
}

HAPPY: Final = Face()
NEUTRAL: Final = Face(
    cheeks_down=8, cheeks_flat=1, corners_in=15, corners_down=30, lips_closed=1, arch=2
)
SURPRISED: Final = Face(
    brows_up=9,
    lids_up=4,
    cheeks_down=8,
    cheeks_flat=1,
    corners_in=28,
    corners_down=22,
    chin_down=10,
    upper_lip_up=10,
    lower_lip_down=13,
    teeth_hidden=1,
)
SAD: Final = Face(
    brows_up=-5,
    inner_brows_up=15,
    lids_up=-5,
    cheeks_down=8,
    cheeks_flat=1,
    corners_in=11,
    corners_down=42,
    lips_closed=1,
    arch=9,
)
ANGRY: Final = Face(
    brows_up=-6,
    inner_brows_down=14,
    brows_together=9,
    nose_up=4,
    cheeks_down=8,
    cheeks_flat=1,
    corners_in=-2,
    corners_down=36,
    lower_lip_down=-6,
)
EXPRESSIONS: Final = (  # from when on; the smile comes last, for it outweighs what comes after it
    (0.0, NEUTRAL),
    (2.6, SAD),
    (6.8, ANGRY),
    (10.8, SURPRISED),
    (15.0, HAPPY),
)
CHANGE_SECONDS: Final = 0.4


def face_at(time: float) -> Face:
    """The expression, on its way from the last to the next."""
    before = after = EXPRESSIONS[0][1]
    share = 1.0
    for start, face in EXPRESSIONS:
        if time >= start:
            before, after = after, face
            share = eased(time, (start, 0), (start + CHANGE_SECONDS, 1))
    return Face(
        **{
            each.name: (1 - share) * getattr(before, each.name) + share * getattr(after, each.name)
            for each in fields(Face)
        }
    )


@dataclass(frozen=True)
class Pose:
    """What face, head and camera do in one picture."""

    face: Face
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
    face = face_at(time)
    speaking = replace(
        face,
        brows_up=face.brows_up + 2 * loud,
        lower_lip_down=face.lower_lip_down + 9 * loud,
    )
    blinks = (0.6, 2.6, 4.7, 6.8, 8.7, 13.1, 15.0, 17.1)
    gone = eased(time, (9.3, 0), (9.9, 1), (12.2, 1), (12.8, 0))
    hand_x = 6 * np.sin(2 * np.pi * time / 3.1) + 3 * np.sin(2 * np.pi * time / 1.3 + 1)
    hand_y = 4 * np.sin(2 * np.pi * time / 2.7 + 2) + 2 * np.sin(2 * np.pi * time / 1.1)
    return Pose(
        face=speaking,
        blink=max(max(0.0, 1 - abs(time - each) / 0.1) for each in blinks),
        tilt=2.2 * np.sin(2 * np.pi * time / 4.7),
        nod=5 * np.sin(2 * np.pi * time / 3.3) + 3 * loud,
        camera=(
            680 + hand_x + eased(time, (0, -40), (10, 30), (19, -20)),
            380 + hand_y + 560 * gone,
            eased(time, (0, 960), (2.6, 860), (6.8, 860), (7.4, 780), (10.3, 860), (19, 900)),
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
        self.movements = {name: self._movement(pushes) for name, pushes in PUSHES.items()}
        self.flat = self._flat_cheeks()

    def _movement(self, pushes: tuple[Push, ...]) -> Array:
        """How far each pixel is moved by one pixel of a movement, (height, width, 2)."""
        moved = np.zeros((*self.x.shape, 2), np.float32)
        for push in pushes:
            for landmark, outwards in zip(push.landmarks, (-1, 1), strict=True):
                x, y = self.points[landmark]
                distance = np.hypot(self.x - x, self.y - y) / (push.radius * self.size)
                near = np.exp(-(distance**2) / 2)[..., None]
                moved += near * np.array([outwards * push.outwards, -push.upwards])
        return moved

    def _flat_cheeks(self) -> Image:
        """The canvas without the light and the folds of the smile."""
        mask = np.zeros(self.canvas.shape[:2], np.float32)
        for cheek in CHEEKS:
            cv2.fillPoly(mask, [self.points[list(cheek)].round().astype(np.int32)], [0.9])
        mask = cv2.GaussianBlur(mask, (0, 0), 9).astype(np.float32)[..., None]
        skin = cv2.GaussianBlur(self.canvas, (0, 0), 26)
        return (self.canvas + mask * (skin.astype(np.float32) - self.canvas)).astype(np.uint8)

    def curve(self, indices: tuple[int, ...], x: Array) -> tuple[Array, Array]:
        """Height of the line through landmarks at each x, and where x is inside it, -1..1."""
        line = self.points[list(indices)]
        height = np.interp(x, line[:, 0], line[:, 1]).astype(np.float32)
        inside = 2 * (x - line[0, 0]) / (line[-1, 0] - line[0, 0]) - 1
        return height, np.clip(inside, -1, 1).astype(np.float32)

    def draw(self, pose: Pose) -> Image:
        """The canvas in this pose."""
        x, y = self._swayed(pose)
        x, y = self._expressed(pose.face, x, y)
        y = self._blinked(pose, x, y)
        canvas = self.canvas.copy()
        canvas[self.top : self.bottom, self.left : self.right] = self._lips(pose.face, x, y)
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

    def _expressed(self, face: Face, x: Array, y: Array) -> tuple[Array, Array]:
        """Brows, lids, cheeks, corners of the mouth and chin, each a soft push."""
        moved = sum(getattr(face, name) * field for name, field in self.movements.items())
        from_x, from_y = x, y
        for _ in range(3):  # nearer and nearer to the place from which the pixel was pushed here
            push = cv2.remap(moved, from_x - self.left, from_y - self.top, cv2.INTER_LINEAR)
            from_x, from_y = x - push[..., 0], y - push[..., 1]
        return from_x, from_y

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

    def _lips(self, face: Face, x: Array, y: Array) -> Image:
        """Both lips with the skin to the nose and to the chin, as layers over the teeth."""
        upper, inside = self.curve(UPPER_LIP, x)
        lower, _ = self.curve(LOWER_LIP, x)
        shape = (1 - inside**2) ** 0.8
        meeting = (upper + lower) / 2 - face.arch * shape
        top = upper + face.lips_closed * (meeting - upper) - face.upper_lip_up * shape
        bottom = lower + face.lips_closed * (meeting - lower) + face.lower_lip_down * shape
        bottom = np.maximum(bottom, top)
        above, below = float(self.points[NOSE, 1]), float(self.points[CHIN, 1]) + 0.35 * self.size
        upper_y = above + (y - above) * (upper - above) / (top - above)
        lower_y = below - (below - y) * (below - lower) / (below - bottom)
        apart = np.abs(inside) >= 1
        upper_y = np.where(apart | (y < above), y, upper_y)
        lower_y = np.where(apart | (y > below), y, lower_y)

        canvas = cv2.addWeighted(self.canvas, 1 - face.cheeks_flat, self.flat, face.cheeks_flat, 0)
        still, upper_lip, lower_lip = (
            cv2.remap(canvas, x, each.astype(np.float32), cv2.INTER_CUBIC).astype(np.float32)
            for each in (y, upper_y, lower_y)
        )
        depth = np.clip((y - top) / 30, 0, 1)[..., None]
        dark = np.array([62, 24, 22]) * (1 - 0.5 * depth)
        teeth = (1 - face.teeth_hidden) * _soft(lower - y - 1)[..., None]
        drawn = dark + teeth * (still - dark)
        drawn += _soft(top - y)[..., None] * (upper_lip - drawn)
        drawn += _soft(y - bottom)[..., None] * (lower_lip - drawn)
        # Where lips meet there is a shadow.
        seam = np.exp(-(((y - top) / 2.2) ** 2) - (bottom - top) / 2) * (1 - inside**6)
        drawn *= 1 - face.lips_closed * seam[..., None] * np.array([0.36, 0.45, 0.45])
        return np.clip(np.where(apart[..., None], still, drawn), 0, 255).astype(np.uint8)


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
    picture = cv2.warpAffine(
        softened, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return picture.astype(np.uint8)


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
