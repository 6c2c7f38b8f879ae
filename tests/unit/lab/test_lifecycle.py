"""The parts of the lab that boot nothing."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from memory_leak_lab.lab import containers, hosts, images, lifecycle, virtual_machines
from memory_leak_lab.lab.images import LabError


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
def test_a_bad_name_is_refused_both_ways(name: str) -> None:
    with pytest.raises(LabError, match="lab_name is "):
        up(name)
    with pytest.raises(LabError, match="lab_name is "):
        lifecycle.down(name)


def test_bad_values_are_named() -> None:
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
    with pytest.raises(LabError, match=r"lab_users is .*: it must hold each of root, admin, trainer"):
        up(users="root root")


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "tool_path", lambda: "/nowhere")
    with pytest.raises(LabError, match=r"apt-get install .*mmdebstrap .*qemu-system-x86 "):
        up()


def test_containers_need_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="lab_driver is 'nspawn', which needs root"):
        containers.check(1)


def test_free_ports_differ_and_are_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        ports = hosts.free_ports(200)
    assert len(set(ports)) == 200
    assert set(ports) <= set(hosts.PORTS)


def test_an_image_is_known_by_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.digest("bookworm")
    assert before != images.digest("trixie")
    monkeypatch.setattr(images, "PACKAGES", (*images.PACKAGES, "vim"))
    assert images.digest("bookworm") != before


def packed_kernel(path: Path, content: bytes) -> Path:
    """Write a file that is laid out like a kernel of Linux's x86 boot protocol, with its content packed by zstd."""
    packed = subprocess.run(["zstd", "--stdout"], input=content, capture_output=True, check=True).stdout
    image = bytearray(2 * 512 + 100)
    image[0x1F1] = 1  # sectors before the part that runs, besides the first
    struct.pack_into("<II", image, 0x248, 100, len(packed) + 4)
    path.write_bytes(bytes(image) + packed + struct.pack("<I", len(content)))
    return path


def test_a_kernel_is_unpacked_where_qemu_can_start_it(tmp_path: Path) -> None:
    note = struct.pack("<III", 4, 8, 18) + b"Xen\0"
    kernel = packed_kernel(tmp_path / "kernel", b"\x7fELF" + note + bytes(1000))
    images.unpack(kernel)
    assert kernel.read_bytes() == b"\x7fELF" + note + bytes(1000)


def test_a_kernel_without_that_entry_stays_packed(tmp_path: Path) -> None:
    kernel = packed_kernel(tmp_path / "kernel", b"\x7fELF" + bytes(1000))
    before = kernel.read_bytes()
    images.unpack(kernel)
    assert kernel.read_bytes() == before


def test_a_stale_pid_file_is_not_believed_and_nobody_is_killed() -> None:
    home = hosts.lab_directory("test") / "debian12"
    home.mkdir(parents=True)
    (home / "pid").write_text(f"{os.getpid()}\n")
    (home / "host.json").write_text("{}")
    assert hosts.running("test") == []
    assert lifecycle.down("test") == ["debian12"]
    assert not home.parent.exists()


def test_what_a_killed_run_left_is_removed() -> None:
    (hosts.lab_directory("test") / "debian12").mkdir(parents=True)
    assert lifecycle.down("test") == ["debian12"]


def test_down_of_nothing_is_nothing() -> None:
    assert lifecycle.down("test") == []


@pytest.mark.parametrize(("driver", "resets"), [("qemu", ["debian12"]), ("nspawn", [])])
def test_what_hangs_is_reset_once_if_it_can_be_and_then_an_error(
    driver: str, resets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hosts.Host("debian12", driver, "bookworm", "root", 2048, "image", hosts.free_ports(1)[0])
    (tmp_path / "debian12").mkdir()
    (tmp_path / "debian12" / "console.log").write_text("the last words\n")
    done: list[str] = []
    monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(hosts, "process", lambda _home: 1)
    monkeypatch.setattr(virtual_machines, "reset", lambda home: done.append(home.name))
    with pytest.raises(LabError, match=r"did not answer ssh within 0.2 s. Its console ends:\nthe last words"):
        lifecycle._wait_for_login(tmp_path, host, print)
    assert done == resets


def test_the_reset_button_is_pressed_through_qemus_monitor(tmp_path: Path) -> None:
    heard: list[str] = []

    def monitor(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for answer in ('{"QMP": {}}\n', '{"return": {}}\n', '{"return": {}}\n'):
                stream.write(answer)
                stream.flush()
                heard.append(stream.readline())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "monitor"))
        listener.listen()
        thread = threading.Thread(target=monitor, args=(listener,))
        thread.start()
        virtual_machines.reset(tmp_path)
        thread.join()
    assert heard == ['{"execute": "qmp_capabilities"}\n', '{"execute": "system_reset"}\n', ""]


def test_a_machine_whose_monitor_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="could not reset the machine in "):
        virtual_machines.reset(tmp_path)
