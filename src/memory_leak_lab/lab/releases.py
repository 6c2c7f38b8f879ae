"""The Debian releases that the lab can boot. Everything that depends on the release derives from this table."""

from __future__ import annotations

from dataclasses import dataclass

MIRROR = "http://deb.debian.org/debian"
NEEDS_CGROUP_V2 = 258  # the first systemd without cgroup v1, as a guest and as systemd-nspawn


@dataclass(frozen=True)
class Release:
    """A Debian release: its number, the version of its systemd, and its mirror."""

    number: int
    systemd: int
    mirror: str = MIRROR

    @property
    def host_name(self) -> str:
        """Return the name of the first host with this release."""
        return f"debian{self.number}"

    @property
    def reads_credentials(self) -> bool:
        """Return whether its systemd writes files from the credential tmpfiles.extra at boot."""
        return self.systemd >= 252

    @property
    def needs_cgroup_v2(self) -> bool:
        """Return whether its systemd refuses to boot in a container on cgroup v1."""
        return self.systemd >= NEEDS_CGROUP_V2


# One keyring verifies all of them: the archive also signs each release with the keys of the two releases before it.
# bullseye: support and security updates have ended. The mirror has the last point release, 11.11; once it is removed there,
# use archive.debian.org (lab_mirror).
# forky: testing. Its index expires a week after it is written, so an old snapshot needs lab_allow_expired_mirror.
RELEASES = {
    "bullseye": Release(11, systemd=247),
    "bookworm": Release(12, systemd=252),
    "trixie": Release(13, systemd=257),
    "forky": Release(14, systemd=262),
}
