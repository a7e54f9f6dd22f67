"""What scripts/setup.sh asks pip for; everything that it calls is a small stand-in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or Path("/proc/driver/nvidia").exists(),
    reason="an NVIDIA driver cannot be hidden from the script",
)

PYTHON = """\
#!/bin/sh
case "$*" in
  *urlopen*) exit $NO_ANSWER ;;
  *"pip install"*--index-url*) echo "$@" >> pip.log; exit $NO_WHEEL ;;
  *"pip install"*) echo "$@" >> pip.log ;;
esac
"""
MAKES_VENV = """\
#!/bin/sh
case "$*" in
  *"-m venv"*) echo "$@" >> pip.log; /bin/cp whole .venv/bin/python ;;
esac
"""
CPU_TORCH = "--no-deps --index-url https://download.pytorch.org/whl/cpu torch"

Setup = Callable[..., list[str]]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Run the script in a copy with an environment of stand-ins; what pip was called with."""
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    commands = tmp_path / "commands"
    for name in ("bash", "cat", "cut", "dirname", "sha256sum", "timeout"):
        commands.mkdir(exist_ok=True)
        (commands / name).symlink_to(shutil.which(name) or name)

    def invoke(
        *, driver: bool = False, answer: bool = True, wheel: bool = True, broken: str = ""
    ) -> list[str]:
        executable(tmp_path / ".venv" / "bin" / "python", broken or PYTHON)
        executable(tmp_path / "whole", PYTHON)
        executable(tmp_path / "python3", MAKES_VENV)
        if driver:
            executable(commands / "nvidia-smi", "#!/bin/sh\n")
        subprocess.run(
            [commands / "bash", "scripts/setup.sh", "run"],
            cwd=tmp_path,
            env={
                "PATH": str(commands),
                "PYTHON": "./python3",
                "NO_ANSWER": f"{not answer:d}",
                "NO_WHEEL": f"{not wheel:d}",
            },
            check=True,
            capture_output=True,
            timeout=30,
        )
        log = tmp_path / "pip.log"
        return log.read_text().splitlines() if log.exists() else []

    return invoke


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_torch_comes_without_cuda_where_there_is_no_driver(setup: Setup) -> None:
    torch, project = setup()
    assert torch.endswith(f"--constraint constraints.txt {CPU_TORCH}")
    assert project.endswith("--constraint constraints.txt --editable .")
    assert setup() == [torch, project], "nothing is done twice"


@pytest.mark.parametrize("what", ["version_info", "import pip"])
def test_an_environment_that_is_not_whole_is_made_again(setup: Setup, what: str) -> None:
    """Its Python was replaced by a newer release's, or making it was broken off."""
    setup()
    broken = f'#!/bin/sh\ncase "$*" in *"{what}"*) exit 1 ;; esac\n'
    _, _, made, torch, project = setup(broken=broken)
    assert made == "-m venv --clear .venv"
    assert torch.endswith(CPU_TORCH)
    assert project.endswith("--editable .")


def test_torch_comes_from_pypi_elsewhere(setup: Setup) -> None:
    (project,) = setup(driver=True)
    assert project.endswith("--constraint constraints.txt --editable .")


def test_torch_comes_from_pypi_where_its_own_index_is_not_reached(setup: Setup) -> None:
    (project,) = setup(answer=False)
    assert project.endswith("--constraint constraints.txt --editable .")


def test_setup_goes_on_where_that_index_has_no_such_build(setup: Setup) -> None:
    torch, project = setup(wheel=False)
    assert torch.endswith(CPU_TORCH)
    assert project.endswith("--editable .")
