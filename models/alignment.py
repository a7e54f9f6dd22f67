"""Where the parts of a face lie in the crop that the face trunk was trained on.

Apart from models/face.py, so that the live program can align faces without loading torch.
"""

from typing import Final

CROP_SIZE: Final = 48
"""Width and height of the crop in pixels: the resolution of FER+."""

CANONICAL_KEYPOINTS: Final = ((15.2, 19.4), (32.4, 19.4), (23.8, 28.6), (23.8, 36.2))
"""(x, y) of image-left eye, image-right eye, nose tip and mouth centre in crop pixels."""
