"""Where mediapipe sees eyes, nose and mouth in FER+'s pictures: models/alignment.py's constant.

python scripts/measure_keypoints.py [--data-root DIR] [--count N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from models.training.data import default_data_root, load_ferplus
from realtime.emotion.faces import MediapipeDetector

ENLARGED = 8  # the detector wants larger faces than 48 px …
BORDER = 16  # … with something around them, px of the original


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, default=default_data_root())
    parser.add_argument("--count", type=int, default=1500)
    options = parser.parse_args()
    images = load_ferplus(options.data_root, "train").images
    chosen = np.random.default_rng(0).choice(len(images), options.count, replace=False)
    found = []
    with MediapipeDetector() as detector:
        for image in images[chosen]:
            framed = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
            size = framed.shape[0]
            large = cv2.resize(framed, (size * ENLARGED,) * 2, interpolation=cv2.INTER_CUBIC)
            faces = detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB).astype(np.uint8))
            if faces:
                best = max(faces, key=lambda face: face.area)
                found.append(best.keypoints * size - BORDER)
    print(f"faces found in {len(found)} of {options.count} training images; median (x, y):")
    for name, (x, y) in zip(
        ("image-left eye", "image-right eye", "nose tip", "mouth"),
        np.median(found, axis=0),
        strict=True,
    ):
        print(f"  {name:16} {x:5.1f} {y:5.1f}")


if __name__ == "__main__":
    main()
