"""Drop-ins: which ones change safety-relevant settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.definitions import DEFINITION
from memory_leak_host import drop_ins

NAME = "memory-leak.service"


@pytest.mark.parametrize(
    ("lines", "changed"),
    [
        (["MemoryMax=8G"], ["MemoryMax=8G"]),
        (["MemoryMax=1G"], []),
        (["MemoryMax=1024M"], []),
        (["MemoryMax=1073741824"], []),
        (["MemoryMax=50%"], ["MemoryMax=50%"]),
        (["MemoryMax=8G", "MemoryMax=1G"], []),
        (["MemorySwapMax=infinity"], ["MemorySwapMax=infinity"]),
        (["RuntimeMaxSec=4h"], []),
        (["RuntimeMaxSec=14400"], []),
        (["RuntimeMaxSec=infinity"], ["RuntimeMaxSec=infinity"]),
        (["OOMScoreAdjust=-900"], ["OOMScoreAdjust=-900"]),
        (["NoNewPrivileges=no"], ["NoNewPrivileges=no"]),
        (["NoNewPrivileges=true"], []),
        (["User=root"], ["User=root"]),
        (["AmbientCapabilities=CAP_SYS_ADMIN"], ["AmbientCapabilities=CAP_SYS_ADMIN"]),
        (["DynamicUser=no"], ["DynamicUser=no"]),
        (["Environment=LANG=C", "Restart=no", "Type=simple", "TimeoutStopSec=3"], []),
        (["Restart=always"], ["Restart=always"]),  # it would start again after its expiry
        (["Restart="], []),
        (["Type=oneshot"], ["Type=oneshot"]),  # has no expiry
        (["KillMode=process"], ["KillMode=process"]),
        (["ExecStart=", "ExecStart=/usr/bin/python3 /x.py"], ["ExecStart=/usr/bin/python3 /x.py"]),
    ],
)  # fmt: skip
def test_settings_with_a_different_effect_are_named(tmp_path: Path, lines: list[str], changed: list[str]) -> None:
    directory = tmp_path / "system" / f"{NAME}.d"
    directory.mkdir(parents=True)
    (directory / "local.conf").write_text("[Service]\n" + "\n".join(lines) + "\n")
    files = drop_ins.files(NAME, [str(tmp_path / "system")])
    assert drop_ins.changes(files, DEFINITION) == [f"{change} ({directory}/local.conf)" for change in changed]


def test_only_the_units_drop_ins_count_and_the_first_directory_wins(tmp_path: Path) -> None:
    for directory in (f"one/{NAME}.d", f"two/{NAME}.d", "one/service.d", "one/memory-.service.d"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "b.conf").write_text("[Service]\nMemoryMax=8G\n")
    (tmp_path / "two" / f"{NAME}.d" / "a.conf").write_text("")
    (tmp_path / "two" / f"{NAME}.d" / "notes.txt").write_text("")
    directories = [str(tmp_path / name) for name in ("none", "one", "two")]
    assert drop_ins.files(NAME, directories) == [f"{tmp_path}/two/{NAME}.d/a.conf", f"{tmp_path}/one/{NAME}.d/b.conf"]
