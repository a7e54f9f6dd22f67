"""Nothing leaves the machine: the libraries that run the network report to nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_onnxruntime_carries_no_uploader() -> None:
    spec = find_spec("onnxruntime")
    assert spec is not None
    assert spec.submodule_search_locations
    library = Path(spec.submodule_search_locations[0]) / "capi"
    for path in library.glob("onnxruntime_pybind11_state*"):
        assert b"events.data.microsoft.com" not in path.read_bytes()


def test_a_recording_is_read_without_a_word_to_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        subprocess.run(
            [sys.executable, "main.py", "replay", "realtime/data/demo.mp4", "--headless"],
            cwd=ROOT,
            env=os.environ | dict.fromkeys(names, address) | homes,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert not (tmp_path / "cache" / "Microsoft").exists()  # what waits there to be sent
        try:
            proxy.accept()
        except BlockingIOError:
            return
        raise AssertionError("something asked the proxy for a connection")
