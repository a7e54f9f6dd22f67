"""Print the exact versions of everything that `msaf-live[dev]` brings into this environment.

Packages that somebody installed beside are left out, and so are local build names (`+cpu`): the
same pin then finds the CUDA build of torch where there is one.
"""

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def pins() -> dict[str, str]:
    """Name → version of the project's requirements and theirs, as far as they are installed."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    waiting = [Requirement(text) for texts in lists for text in texts]
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or name == canonicalize_name(project["name"]):
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = package.version.partition("+")[0]
        for text in package.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            ):
                waiting.append(needed)
    return found


if __name__ == "__main__":
    print("# Exact versions that are known to work together; made by `make constraints`.")
    for name, version in sorted(pins().items()):
        print(f"{name}=={version}")
