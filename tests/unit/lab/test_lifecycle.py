"""The parts of the lab that need no booted hosts."""

from __future__ import annotations

import json
import os
import runpy
import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from helpers.project import PROJECT
from memory_leak_lab.lab import drivers, hosts, images, lifecycle
from memory_leak_lab.lab.drivers import nspawn, qemu
from memory_leak_lab.lab.drivers.base import Driver
from memory_leak_lab.lab.errors import DriverUnavailableError, HostHangsError, LabError
from memory_leak_lab.lab.releases import RELEASES


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def up(
    name: str = "test",
    driver: str = "qemu",
    count: int = 2,
    releases: str = "bookworm",
    users: str = "root",
    memory: int = 2048,
) -> None:
    lifecycle.up(name, driver, count, releases.split(), users.split(), memory, print)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "a" * 41])
def test_an_invalid_name_is_refused_by_up_and_down(name: str) -> None:
    with pytest.raises(LabError, match="lab_name is "):
        up(name)
    with pytest.raises(LabError, match="lab_name is "):
        lifecycle.down(name)


def test_invalid_values_are_reported() -> None:
    with pytest.raises(LabError, match="lab_host_count is 0: it must be from 1 to 20"):
        up(count=0)
    with pytest.raises(LabError, match="lab_host_count is 201: it must be from 1 to 200 for the driver nspawn"):
        up(driver="nspawn", count=201)
    with pytest.raises(LabError, match="lab_driver is 'docker': it must be qemu or nspawn"):
        up(driver="docker")
    with pytest.raises(LabError, match="lab_memory_mib is 64"):
        up(memory=64)
    with pytest.raises(LabError, match=r"lab_releases is \['sarge'\]"):
        up(releases="sarge")
    with pytest.raises(LabError, match=r"lab_users is .*: it must list at least one of root, admin, trainer"):
        up(users="root root")


def test_missing_tools_are_reported_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "tool_path", lambda: "/nowhere")
    with pytest.raises(LabError, match=r"apt-get install .*mmdebstrap .*qemu-system-x86 "):
        up()


def test_containers_need_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DriverUnavailableError, match="lab_driver is 'nspawn', which needs root"):
        nspawn.Nspawn().check(["bookworm"])


def test_free_ports_differ_and_are_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        ports = hosts.free_ports(200)
    assert len(set(ports)) == 200
    assert set(ports) <= set(hosts.PORTS)


def test_the_image_digest_depends_on_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.digest("bookworm")
    assert before != images.digest("trixie")
    assert before != images.digest("bookworm", images.Source("http://example.org/debian"))
    assert before == images.digest("bookworm", images.Source(allow_expired=True)), (
        "the option does not change the image"
    )
    monkeypatch.setattr(images, "PACKAGES", (*images.PACKAGES, "vim"))
    assert images.digest("bookworm") != before


def test_the_roles_options_match_the_drivers_and_releases() -> None:
    role = PROJECT / "roles" / "lab"
    options = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["up"]["options"]
    documented = yaml.safe_load(runpy.run_path(str(role / "library" / "lab.py"))["DOCUMENTATION"])["options"]
    for name, known in (("driver", drivers.DRIVERS), ("releases", RELEASES)):
        assert options[f"lab_{name}"]["choices"] == documented[name]["choices"] == list(known)
    assert set(options["lab_releases"]["default"]) <= set(RELEASES)


def test_only_releases_without_systemd_credentials_get_the_credentials_service() -> None:
    with_service = {release for release in RELEASES if "lab-credentials.service" in "".join(images.recipe(release))}
    assert with_service == {"bullseye"}


@pytest.mark.parametrize("allow_expired", [False, True])
def test_an_expired_mirror_is_accepted_only_on_request(
    allow_expired: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "called"
    log = "E: Release file for http://x/InRelease is expired (invalid since 18d)."
    mmdebstrap = tmp_path / "mmdebstrap"
    mmdebstrap.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{called}\necho '{log}' >&2\nexit 1\n")
    mmdebstrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    advice = (
        r"mmdebstrap could not build the image of forky \(.*; lab_allow_expired_mirror=true accepts it\):\n.*is expired"
    )
    with pytest.raises(LabError, match=advice):
        images.ensure("forky", print, images.Source("http://x", allow_expired))
    assert called.read_text().endswith("/disk.img\nhttp://x\n")
    assert ("Check-Valid-Until" in called.read_text()) is allow_expired


def test_a_mirror_must_be_a_url() -> None:
    with pytest.raises(LabError, match="lab_mirror is 'ftp://x': it must begin with http:// or https://, or be empty"):
        lifecycle.up("test", "qemu", 1, ["bookworm"], ["root"], 2048, print, images.Source("ftp://x"))


@pytest.mark.parametrize(
    ("releases", "version", "message"),
    [
        ("bookworm forky", 252, "lab_releases has forky, whose systemd cannot run in a container on this computer"),
        ("bookworm", 258, "systemd-nspawn 258 cannot run containers on this computer"),
        ("bullseye bookworm trixie", 257, None),
    ],
)
def test_containers_on_cgroup_v1_need_a_compatible_systemd(
    releases: str, version: int, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(nspawn, "CGROUP_V2_ONLY", tmp_path / "cgroup.controllers")
    monkeypatch.setattr(nspawn, "_version", lambda: version)
    driver = nspawn.Nspawn()
    if message is None:
        driver.check(releases.split())
    else:
        with pytest.raises(DriverUnavailableError, match=message):
            driver.check(releases.split())
    (tmp_path / "cgroup.controllers").touch()
    driver.check(releases.split())


def packed_kernel(path: Path, content: bytes) -> Path:
    """Write an x86 boot protocol kernel image whose content is compressed with zstd."""
    packed = subprocess.run(["zstd", "--stdout"], input=content, capture_output=True, check=True).stdout
    image = bytearray(2 * 512 + 100)
    image[0x1F1] = 1  # setup sectors besides the first
    struct.pack_into("<II", image, 0x248, 100, len(packed) + 4)
    path.write_bytes(bytes(image) + packed + struct.pack("<I", len(content)))
    return path


def test_a_kernel_with_a_xen_entry_is_unpacked(tmp_path: Path) -> None:
    note = struct.pack("<III", 4, 8, 18) + b"Xen\0"
    kernel = packed_kernel(tmp_path / "kernel", b"\x7fELF" + note + bytes(1000))
    images.unpack(kernel)
    assert kernel.read_bytes() == b"\x7fELF" + note + bytes(1000)


def test_a_kernel_without_a_xen_entry_stays_packed(tmp_path: Path) -> None:
    kernel = packed_kernel(tmp_path / "kernel", b"\x7fELF" + bytes(1000))
    before = kernel.read_bytes()
    images.unpack(kernel)
    assert kernel.read_bytes() == before


def test_a_stale_pid_file_is_not_trusted_and_nothing_is_killed() -> None:
    home = hosts.lab_directory("test") / "debian12"
    home.mkdir(parents=True)
    (home / "pid").write_text(f"{os.getpid()}\n")
    (home / "host.json").write_text("{}")
    assert hosts.running("test") == []
    assert lifecycle.down("test") == ["debian12"]
    assert not home.parent.exists()


def test_down_removes_what_a_killed_run_left() -> None:
    (hosts.lab_directory("test") / "debian12").mkdir(parents=True)
    assert lifecycle.down("test") == ["debian12"]


def test_down_without_a_lab_does_nothing() -> None:
    assert lifecycle.down("test") == []


class Simulated(Driver):
    """A driver whose hosts never run. It records its calls."""

    name = "simulated"
    description = "pretences"
    max_hosts = 3
    tools: ClassVar = {}

    def __init__(self, recovers: bool = True) -> None:
        self.recovers = recovers
        self.calls: list[str] = []

    def check(self, releases: Sequence[str]) -> None:
        raise DriverUnavailableError(f"no {' '.join(releases)} here")

    def start(self, directory: Path, started: Sequence[hosts.Host]) -> None:
        raise AssertionError(f"check refused {started} in {directory}")

    def recover(self, home: Path) -> bool:
        self.calls.append(f"recover {home.name}")
        return self.recovers

    def clean(self, home: Path) -> None:
        self.calls.append(f"clean {home.name}")

    def tidy(self, directory: Path) -> None:
        self.calls.append(f"tidy {directory.name}")


def host_of(driver: str, **values: Any) -> hosts.Host:
    return hosts.Host("debian12", driver, "bookworm", "root", 2048, "image", **values)


@pytest.mark.parametrize("driver", drivers.DRIVERS.values(), ids=drivers.DRIVERS)
def test_each_driver_gives_every_host_its_own_endpoint(driver: Driver) -> None:
    hosts_to_place = [host_of(driver.name), host_of(driver.name)]
    placed = driver.place(hosts_to_place)
    assert len({(host.address, host.port) for host in placed}) == 2
    assert all(host.address and host.port in hosts.PORTS for host in placed)
    assert [host.unplaced() for host in placed] == hosts_to_place


def test_a_registered_driver_can_be_selected_and_reports_why_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Simulated()
    monkeypatch.setitem(drivers.DRIVERS, driver.name, driver)
    monkeypatch.setattr(lifecycle, "TOOLS", {})
    with pytest.raises(LabError, match="lab_host_count is 4: it must be from 1 to 3 for the driver simulated"):
        up(driver="simulated", count=4)
    with pytest.raises(DriverUnavailableError, match="no bookworm trixie here"):
        up(driver="simulated", releases="bookworm trixie")
    assert not hosts.lab_directory("test").exists()


@pytest.mark.parametrize(
    "content",
    [json.dumps(asdict(host_of("simulated"))), "{}", '{"driver": "qemu"'],
    ids=["own driver", "no driver", "invalid JSON"],
)
def test_down_calls_the_hosts_driver_or_all_if_unknown(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Simulated()
    monkeypatch.setitem(drivers.DRIVERS, driver.name, driver)
    home = hosts.lab_directory("test") / "debian12"
    home.mkdir(parents=True)
    (home / "host.json").write_text(content)
    lifecycle.down("test")
    assert driver.calls == ["clean debian12", "tidy test"]


def test_down_does_not_call_other_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Simulated()
    monkeypatch.setitem(drivers.DRIVERS, driver.name, driver)
    home = hosts.lab_directory("test") / "debian12"
    home.mkdir(parents=True)
    (home / "host.json").write_text(json.dumps(asdict(host_of("qemu"))))
    lifecycle.down("test")
    assert driver.calls == ["tidy test"]


def test_a_host_of_an_older_lab_uses_the_loopback_address(tmp_path: Path) -> None:
    values = asdict(host_of("qemu", port=20000))
    del values["address"]
    (tmp_path / "host.json").write_text(json.dumps(values))
    assert hosts.load(tmp_path).address == "127.0.0.1"


@pytest.mark.parametrize(("recovers", "attempts"), [(True, 2), (False, 1)])
def test_a_hanging_host_is_recovered_once_and_then_an_error(
    recovers: bool, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "debian12").mkdir()
    (tmp_path / "debian12" / "console.log").write_text("the last words\n")
    monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(hosts, "process", lambda _home: 1)
    driver = Simulated(recovers)
    [host] = driver.place([host_of("simulated")])
    messages: list[str] = []
    with pytest.raises(HostHangsError, match=r"did not answer ssh within 0.2 s. Its console ends:\nthe last words"):
        lifecycle._wait_for_login(driver, tmp_path, host, messages.append)
    assert driver.calls == ["recover debian12"]
    assert len(messages) == attempts - 1
    assert all(message.startswith("reset a host that hung: debian12 did not answer") for message in messages)


@pytest.mark.parametrize(("driver", "resets"), [(qemu.Qemu(), True), (nspawn.Nspawn(), False)])
def test_only_vms_can_be_reset(driver: Driver, resets: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []
    monkeypatch.setattr(qemu, "reset", done.append)
    assert driver.recover(tmp_path) is resets
    assert done == ([tmp_path] if resets else [])


def test_a_vm_is_reset_through_qemus_monitor(tmp_path: Path) -> None:
    received: list[str] = []

    def monitor(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for answer in ('{"QMP": {}}\n', '{"return": {}}\n', '{"return": {}}\n'):
                stream.write(answer)
                stream.flush()
                received.append(stream.readline())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "monitor"))
        listener.listen()
        thread = threading.Thread(target=monitor, args=(listener,))
        thread.start()
        qemu.reset(tmp_path)
        thread.join()
    assert received == ['{"execute": "qmp_capabilities"}\n', '{"execute": "system_reset"}\n', ""]


def test_a_missing_qemu_monitor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="could not reset the machine in "):
        qemu.reset(tmp_path)
