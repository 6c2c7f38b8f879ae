"""Bring a lab of throw-away hosts on this computer up and down, with any driver."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from memory_leak_lab.lab import drivers, hosts, images
from memory_leak_lab.lab.drivers.base import Driver
from memory_leak_lab.lab.errors import HostHangsError, LabError
from memory_leak_lab.lab.hosts import Host
from memory_leak_lab.lab.images import DEFAULT_SOURCE, Source
from memory_leak_lab.lab.releases import RELEASES

# Commands that the lab runs -> their Debian and Ubuntu packages.
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "genext2fs": "genext2fs",
    "resize2fs": "e2fsprogs",
    "newuidmap": "uidmap",
    "ssh": "openssh-client",
    "xz": "xz-utils",
    "zstd": "zstd",
}
PARALLEL = 20  # hosts to stop or log in to at once
Report = Callable[[str], None]


def up(
    name: str,
    driver_name: str,
    count: int,
    releases: list[str],
    users: list[str],
    memory_mib: int,
    report: Report,
    source: Source = DEFAULT_SOURCE,
) -> list[str]:
    """Bring a lab of `count` hosts up and return the names of the hosts that were started.

    Releases and users are assigned in turn. A running host that matches the request is kept. Raises LabError.
    """
    directory = hosts.lab_directory(name)
    driver = drivers.get(driver_name)
    _check_values(driver, count, releases, users, memory_mib)
    if source.mirror and not source.mirror.startswith(("http://", "https://")):
        raise LabError(f"lab_mirror is {source.mirror!r}: it must begin with http:// or https://, or be empty")
    _check_packages(driver)
    driver.check(releases)
    with ThreadPoolExecutor() as pool:
        image_of = dict(
            zip(releases, pool.map(lambda release: images.ensure(release, report, source), releases), strict=True)
        )
    with _locked(directory):
        hosts.make_key(directory / "key", "memory-leak-lab")
        wanted = list(_wanted(driver, count, releases, users, memory_mib, image_of))
        kept = [host for host in hosts.running(name) if host.unplaced() in wanted]
        kept_names = {host.name for host in kept}
        _forget([home for home in hosts.homes(directory) if home.name not in kept_names])
        started = driver.place([host for host in wanted if host.name not in kept_names])
        began = time.monotonic()
        if started:
            report(f"booting {len(started)} {driver.description}: {_first_names(started)}")
            driver.start(directory, started)
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda host: _wait_for_login(driver, directory, host, report), [*kept, *started]))
        if started:
            report(f"all accept logins over ssh after {time.monotonic() - began:.1f} s")
    return [host.name for host in started]


def _wait_for_login(driver: Driver, directory: Path, host: Host, report: Report) -> None:
    """Wait until a host accepts its user's login. A hung host is reset once, if its driver can do that."""
    try:
        hosts.wait_for_login(directory, host)
    except HostHangsError as error:
        if not driver.recover(directory / host.name):
            raise
        report(f"reset a host that hung: {error}")
        hosts.wait_for_login(directory, host)


def down(name: str) -> list[str]:
    """Stop the hosts of a lab, remove everything that belongs to it, and return the names of the removed hosts."""
    directory = hosts.lab_directory(name)
    if not directory.is_dir():
        return []
    with _locked(directory):
        homes = hosts.homes(directory)
        _forget(homes)
        for driver in drivers.DRIVERS.values():
            driver.tidy(directory)
        shutil.rmtree(directory)
    return [home.name for home in homes]


def _check_values(driver: Driver, count: int, releases: list[str], users: list[str], memory_mib: int) -> None:
    for variable, values, allowed in (
        ("lab_releases", releases, tuple(RELEASES)),
        ("lab_users", users, hosts.USERS),
    ):
        if not values or len(set(values)) < len(values) or set(values) - set(allowed):
            raise LabError(
                f"{variable} is {values!r}: it must list at least one of {', '.join(allowed)}, each at most once"
            )
    for variable, value, low, high in (
        ("lab_host_count", count, 1, driver.max_hosts),
        ("lab_memory_mib", memory_mib, 256, 65536),
    ):
        if not low <= value <= high:
            raise LabError(f"{variable} is {value}: it must be from {low} to {high} for the driver {driver.name}")


def _check_packages(driver: Driver) -> None:
    tools = {**TOOLS, **driver.tools}
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool, path=images.tool_path())})
    if not Path(images.KEYRING).exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise LabError(f"the lab needs packages that are not installed: apt-get install {' '.join(missing)}")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with images.locked(directory.with_suffix(".lock")):
        directory.mkdir(mode=0o700, exist_ok=True)
        yield


def _wanted(
    driver: Driver, count: int, releases: list[str], users: list[str], memory_mib: int, image_of: dict[str, Path]
) -> Iterator[Host]:
    for number in range(count):
        release = releases[number % len(releases)]
        round_number = number // len(releases)
        name = RELEASES[release].host_name + (f"-{round_number + 1}" if round_number else "")
        yield Host(name, driver.name, release, users[number % len(users)], memory_mib, str(image_of[release]))


def _first_names(started: list[Host]) -> str:
    names = [host.name for host in started]
    return ", ".join(names if len(names) <= 4 else [*names[:3], "…"])


def _forget(homes: list[Path]) -> None:
    """Stop hosts, wait until they are gone, and remove their directories."""

    def forget(home: Path) -> None:
        for driver in _drivers_of(home):
            driver.down(home)
        shutil.rmtree(home)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(forget, homes))


def _drivers_of(home: Path) -> list[Driver]:
    """Return the driver of a host; all drivers if a run was killed before it wrote host.json and started the host."""
    try:
        return [drivers.get(hosts.load(home).driver)]
    except LabError:
        return list(drivers.DRIVERS.values())
