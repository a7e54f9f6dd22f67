"""What is kept of a recording while it is shown, in little space, since it may be hours long.

Thread: any, under the lock of whoever has it. Times are seconds in the recording.
"""

from __future__ import annotations

import bisect
from array import array
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from models.arrays import FloatArray
from realtime.messages import Attention, Box, FaceObservation, Prediction, Sighting
from realtime.rings import SampleRing

_LOUDEST: Final = 32767  # 16 bit are what most recordings have
_FACE_NUMBERS: Final = 20  # a face's box, score, brightness, 4 keypoints and 2 x 3 matrix
_NOBODY: Final = -1

_Shape: TypeAlias = tuple[int, ...] | None  # None: the answer has no such array
# What an answer's bytes hold: name, modalities and shape of each attention, then the shapes of
# face_activation and voice_moments.
_Layout: TypeAlias = tuple[tuple[tuple[str, tuple[str, ...], _Shape], ...], _Shape, _Shape]


class Archive:
    """Faces, sound and answers of one recording, added in time order.

    Faces come back as they were, without their crops. Sound has 16 bits, the arrays of an answer
    half precision: enough for what is shown.
    """

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` of the sound, in Hz."""
        self.answers: list[Prediction] = []
        """answers[k - 1] belongs to window k. Arrays that `answer` restores, and fields that nobody
        reads later, are left out."""
        self.last_picture_seconds = 0.0
        """When the newest picture was taken, 0 when there was none."""
        self._sample_rate = sample_rate
        # From each of these times on there was another face, or nobody.
        self._face_times, self._face_ids, self._face_numbers = array("d"), array("q"), array("f")
        self._seen: FaceObservation | None = None  # in the newest picture
        self._found: tuple[int, FaceObservation | None] = _NOBODY, None  # the last asked for
        # All sound, and of each packet when it begins and after how many samples.
        self._sound, self._sound_times, self._sound_firsts = array("h"), array("d"), array("q")
        # Of each answer: what its bytes hold, the bytes, and the time of its face.
        self._details: list[tuple[_Layout, bytes, float | None]] = []
        self._layouts: dict[_Layout, _Layout] = {}  # each kept once
        self._shown: Prediction | None = None  # the last asked for

    # -- pictures -------------------------------------------------------------------------------

    def see(self, sighting: Sighting) -> None:
        """Keep who is in the next picture."""
        self.last_picture_seconds = sighting.timestamp
        face = sighting.face
        if self._face_times and face is self._seen:  # it was not searched for anew
            return
        self._seen = face
        self._face_times.append(sighting.timestamp)
        if face is None:
            self._face_ids.extend((_NOBODY, _NOBODY))
            self._face_numbers.extend([0.0] * _FACE_NUMBERS)
            return
        box = face.box
        self._face_ids.extend((face.sequence, face.identity))
        self._face_numbers.extend((box.left, box.top, box.width, box.height))
        self._face_numbers.extend((face.score, face.brightness))
        self._face_numbers.extend(face.keypoints.ravel().tolist())
        self._face_numbers.extend(face.crop_from_image.ravel().tolist())

    def face(self, seconds: float) -> FaceObservation | None:
        """The followed face in the picture of `seconds`, or the newest before; None for nobody.

        As long as the face stays the same, so does the object.
        """
        index = bisect.bisect_right(self._face_times, seconds + 1e-6) - 1
        if index < 0:
            return None
        if index != self._found[0]:
            self._found = index, self._face(index)
        return self._found[1]

    def _face(self, index: int) -> FaceObservation | None:
        sequence, identity = self._face_ids[2 * index : 2 * index + 2]
        if sequence == _NOBODY:
            return None
        first = index * _FACE_NUMBERS
        numbers = self._face_numbers[first : first + _FACE_NUMBERS]
        left, top, width, height, score, brightness = numbers[:6]
        return FaceObservation(
            timestamp=self._face_times[index],
            sequence=sequence,
            identity=identity,
            box=Box(left=left, top=top, width=width, height=height),
            keypoints=np.array(numbers[6:14], np.float32).reshape(4, 2),
            score=score,
            crop=None,
            crop_from_image=np.array(numbers[14:], np.float32).reshape(2, 3),
            brightness=brightness,
        )

    # -- sound ----------------------------------------------------------------------------------

    def hear(self, start: float, samples: FloatArray) -> None:
        """Keep the next sound (n,), which begins at `start` seconds."""
        self._sound_times.append(start)
        self._sound_firsts.append(len(self._sound))
        scaled = np.clip(samples, -1.0, 1.0) * _LOUDEST
        self._sound.frombytes(np.rint(scaled).astype(np.int16).tobytes())

    def sound(self, start: float, end: float) -> FloatArray:
        """The sound in [start, end), mono (n,), up to a gap in it as SampleRing.read tells."""
        first = max(bisect.bisect_right(self._sound_times, start) - 1, 0)
        last = bisect.bisect_left(self._sound_times, end)
        heard = SampleRing(self._sample_rate, end - start + 1.0)  # a second for what lies around it
        for index in range(first, last):
            begin, *following = self._sound_firsts[index : index + 2]
            samples = self._sound[begin : following[0] if following else len(self._sound)]
            heard.push(self._sound_times[index], np.array(samples, np.float32) / _LOUDEST)
        return heard.read(start, end)[1]

    # -- answers --------------------------------------------------------------------------------

    def add(self, prediction: Prediction) -> None:
        """Keep the answer for the next window."""
        attention = prediction.attention
        activation, moments = prediction.face_activation, prediction.voice_moments
        layout: _Layout = (
            tuple((each.name, each.modalities, each.weights.shape) for each in attention),
            None if activation is None else activation.shape,
            None if moments is None else moments.shape,
        )
        arrays = [*(each.weights for each in attention), activation, moments]
        numbers = b"".join(each.astype(np.float16).tobytes() for each in arrays if each is not None)
        face = None if prediction.face is None else prediction.face.timestamp
        self._details.append((self._layouts.setdefault(layout, layout), numbers, face))
        self.answers.append(
            replace(
                prediction,
                logits=None,
                attention=(),
                face=None,
                face_activation=None,
                spectrogram=None,
                voice_moments=None,
            )
        )

    def answer(self, number: int) -> Prediction:
        """Window `number`'s, counted from 1, with all that there is to show but the spectrogram.

        Asked for again it is the same object.
        """
        kept = self.answers[number - 1]
        if self._shown is None or self._shown.window_index != kept.window_index:
            (attention, activation, moments), data, face = self._details[number - 1]
            numbers = np.frombuffer(data, np.float16).astype(np.float32)

            def take(shape: _Shape) -> FloatArray | None:
                nonlocal numbers
                if shape is None:
                    return None
                taken, numbers = np.split(numbers, [int(np.prod(shape))])
                return taken.reshape(shape)

            self._shown = replace(
                kept,
                attention=tuple(
                    Attention(name=name, weights=weights, modalities=modalities)
                    for name, modalities, shape in attention
                    if (weights := take(shape)) is not None
                ),
                face=None if face is None else self.face(face),
                face_activation=take(activation),
                voice_moments=take(moments),
            )
        return self._shown
