"""Where the parts of a face lie in the crop that the face trunk was trained on.

Apart from models/face.py, so that the live program can align faces without loading torch.
"""

from typing import Final

CROP_SIZE: Final = 48
"""Width and height of the crop in pixels: the resolution of FER+."""

CANONICAL_KEYPOINTS: Final = ((15.5, 19.1), (33.1, 19.1), (24.3, 29.3), (24.3, 37.5))
"""(x, y) of image-left eye, image-right eye, nose tip and mouth centre in crop pixels.

Medians over the 1448 faces that mediapipe's short-range detector found in 1500 training images of
FER+ (scripts/measure_keypoints.py), made symmetric about x = 24.3, which moves none by over 0.2 px.
"""
