"""Find the locally installed Python versions that hosts may have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SUPPORTED = [f"3.{minor}" for minor in range(9, 15)]


def found() -> dict[str, str]:
    """Return the local Python 3.9 to 3.14 interpreters, from PATH and pyenv, keyed by version."""
    candidates = [found for version in SUPPORTED if (found := shutil.which(f"python{version}"))]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        candidates += [str(found) for found in sorted(Path(root).glob("versions/3.*/bin/python3"))]
    candidates.append(shutil.which("python3") or "")
    by_version: dict[str, str] = {}
    for candidate in filter(None, candidates):
        script = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", script], capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode == 0 and version in SUPPORTED:
            by_version.setdefault(version, candidate)
    return by_version


PYTHONS = found()
VERSIONS = [version for version in SUPPORTED if version in PYTHONS]
