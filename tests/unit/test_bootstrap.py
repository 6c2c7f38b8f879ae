"""Which ansible-core script/bootstrap installs."""

from __future__ import annotations

import subprocess

import pytest

from helpers.project import PROJECT

BOOTSTRAP = PROJECT / "script" / "bootstrap"


def find(minor: int, version: str) -> tuple[int, str]:
    """Return the exit status and output of the script's find_ansible_core."""
    functions = BOOTSTRAP.read_text().partition("\nfor_tests=")[0]
    command = ["sh", "-c", f'{functions}\nfind_ansible_core "$1" "$2"', str(BOOTSTRAP), str(minor), version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip() or done.stderr.strip()


@pytest.mark.parametrize(("minor", "version"), [(11, "2.19"), (12, "2.21"), (13, "2.21"), (14, "2.21")])
def test_the_newest_final_release_is_the_default(minor: int, version: str) -> None:
    status, release = find(minor, "")
    assert status == 0
    assert release.startswith(f"{version}.") and "rc" not in release


@pytest.mark.parametrize(
    ("minor", "versions"),
    [
        (11, ["2.18", "2.19"]),
        (12, ["2.18", "2.19", "2.20", "2.21"]),
        (13, ["2.18", "2.19", "2.20", "2.21", "2.22"]),
        (14, ["2.20", "2.21", "2.22"]),
    ],
)
def test_only_versions_supported_by_the_python_are_accepted(minor: int, versions: list[str]) -> None:
    for version in ("2.17", "2.18", "2.19", "2.20", "2.21", "2.22", "2", "x"):
        status, output = find(minor, version)
        if version in versions:
            assert status == 0 and output.startswith(f"{version}.")
        else:
            assert status == 1
            allowed = ", ".join(versions)
            assert f"ANSIBLE_CORE_VERSION is '{version}': with Python 3.{minor} it must be one of {allowed}" in output
