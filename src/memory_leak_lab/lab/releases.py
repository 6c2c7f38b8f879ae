"""The Debian releases that the lab can boot. Whatever depends on the release follows from this table."""

from __future__ import annotations

from dataclasses import dataclass

MIRROR = "http://deb.debian.org/debian"
NEEDS_CGROUP_V2 = 258  # the first systemd that knows no version 1, as a host and as the one that runs containers


@dataclass(frozen=True)
class Release:
    """A Debian release: its number, and the version of its systemd."""

    number: int
    systemd: int
    mirror: str = MIRROR

    @property
    def host_name(self) -> str:
        """The name of the first host that has this release."""
        return f"debian{self.number}"

    @property
    def reads_credentials(self) -> bool:
        """Whether its systemd writes files from the credential tmpfiles.extra at boot."""
        return self.systemd >= 252

    @property
    def needs_cgroup_v2(self) -> bool:
        """Whether its systemd refuses to boot in a container on a computer whose cgroups are of version 1."""
        return self.systemd >= NEEDS_CGROUP_V2


# One keyring verifies all of them: the archive signs each release with the keys of the two releases before it, too.
# bullseye: support has ended, and security updates with it. The mirror has its last point release, 11.11; when it is
# removed there, archive.debian.org keeps it (lab_mirror).
# forky: testing. Its index expires a week after it is written, so an old snapshot of it needs lab_allow_expired_mirror.
RELEASES = {
    "bullseye": Release(11, systemd=247),
    "bookworm": Release(12, systemd=252),
    "trixie": Release(13, systemd=257),
    "forky": Release(14, systemd=262),
}
