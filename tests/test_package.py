"""What `pip install .` gives to other people: `from models import MSAF`, and the example of it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "two_networks.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The project's wheel, built away from the working tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "main.py", "models", "realtime", "ui"):
        (source / name).symlink_to(ROOT / name)
    program = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-c", program], cwd=source, check=True, capture_output=True, timeout=120
    )
    (built,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def test_wheel_holds_the_networks_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "models").rglob("*.py")}
    assert here <= set(names)
    assert {"models/weights/MODEL_CARD.md", "models/training/live/live.toml"} <= set(names)
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"main.py", "models", "realtime", "ui"}
    assert not any("__pycache__" in name for name in names)


def test_import_works_from_anywhere(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "site-packages", tmp_path / "elsewhere"
    elsewhere.mkdir()
    wheel.extractall(installed, [name for name in wheel.namelist() if name.startswith("models/")])
    program = (
        "import models, torch; from models import MSAF, MSAFConfig\n"
        "print(models.__file__)\n"
        "msaf = MSAF(MSAFConfig(channels=(7, 5), block_channels=4))\n"
        "out = msaf([torch.rand(2, 7), torch.rand(2, 5)])\n"
        "print(*(tuple(each.shape) for each in out.features))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout.splitlines()
    assert found == [str(installed / "models" / "__init__.py"), "(2, 7) (2, 5)"]


def test_msaf_can_be_copied_as_two_files(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("msaf.py", "attention.py"):
        text = (ROOT / "models" / name).read_text(encoding="utf-8")
        changed = text.replace("from models.attention import", "from mine.attention import")
        assert not re.search(r"^ *(from|import) models\b", changed, re.M)
        (mine / name).write_text(changed, encoding="utf-8")
    program = (
        "import sys, torch; from mine.msaf import MSAF, MSAFConfig\n"
        "msaf = MSAF(MSAFConfig(channels=(7, 5), block_channels=4))\n"
        "out = msaf([torch.rand(2, 7), torch.rand(2, 5)])\n"
        "print(msaf.share(out.attention).share.shape, 'models' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout == "(2, 1, 2) False\n"


def test_example_is_short_runs_and_keeps_the_weights() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 40
    torch.manual_seed(0)
    example = runpy.run_path(str(EXAMPLE), run_name="example")
    before = {name: each.clone() for name, each in example["picture"].state_dict().items()}
    joined = example["Joined"]()
    assert joined.picture is example["picture"]
    assert joined.sound is example["sound"]
    logits, attention = joined(torch.rand(2, 3, 33, 47), torch.randn(2, 64, 50))
    assert logits.shape == (2, 5)
    assert attention.shape == (2, 1, 9, 16)
    torch.testing.assert_close(dict(joined.picture.state_dict()), before)
    logits.sum().backward()
    assert all(each.grad is not None for each in joined.parameters())


def test_example_runs_as_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    known, shapes = capsys.readouterr().out.splitlines()
    assert known == "what they say apart is kept: True"
    assert shapes == "logits (4, 5) attention (4, 1, 9, 16)"


def test_the_page_names_every_fault() -> None:
    from models.paper.faults import Fault

    page = (ROOT / "docs" / "msaf.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) >= {str(fault) for fault in Fault}
