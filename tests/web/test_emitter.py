"""The emitter that the page has in the place of the npm package `events`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"
CASES = 3000
LIMIT = 120.0  # seconds


def test_the_emitter_does_what_the_package_does() -> None:
    """Whatever the SDK's packages do with it, both tell of the same, errors included."""
    # Where the system's Node.js is too old for the build, there is another one beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    node = shutil.which("node", path=path)
    assert node is not None
    compare = [node, str(HERE / "compare_emitters.mjs"), str(WEB), str(CASES)]
    done = subprocess.run(compare, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
