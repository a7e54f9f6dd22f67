"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.files import check_writable, write_whole
from models.training.loop import save_atomically


def test_a_file_is_replaced_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    for content in ("ä", b"\x00"):
        write_whole(path, content)
    assert path.read_bytes() == b"\x00"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no such device here")
def test_whether_a_file_can_be_written_is_known_before(tmp_path: Path) -> None:
    path, file = tmp_path / "new" / "figures.json", tmp_path / "file"
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    file.write_text("precious")
    check_writable(file)
    assert file.read_text() == "precious"
    for impossible in (tmp_path, file / "figures.json"):
        with pytest.raises(OSError, match=str(file if impossible != tmp_path else tmp_path)):
            check_writable(impossible)


def test_a_full_disk_is_told_of_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_atomically({"epoch": torch.tensor(1)}, path)
    for size in (1, 1_000_000):  # noticed at the end, and on the way
        (tmp_path / "state.pt.partial").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            save_atomically({"epoch": torch.zeros(size)}, path)
        assert torch.load(path, weights_only=True) == {"epoch": torch.tensor(1)}
        assert list(tmp_path.iterdir()) == [path]
