"""onnxruntime as this program wants it: few threads, which sleep while they wait, and no reports.

On Windows onnxruntime writes usage events to the system's log unless told not to; releases from
1.29 on send them to their maker from every system, so an older one is pinned (docs/adr/0002).
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

ort.disable_telemetry_events()

ENGINE = f"onnxruntime {ort.__version__}, CPU"


def inference_session(graph: Path, *, threads: int = 1) -> ort.InferenceSession:
    """A graph on the CPU, ready to run; `threads` for one large operation."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads must sleep: the camera, the window and others need the cores too.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])
