"""The answers of the tools: structured, and as compact text. What a host says is checked here: it may say anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from memory_leak_controller.escaping import printable
from memory_leak_lab.agent.hosts import HostError

MOST_TEXT_BYTES = 16_000
MOST_OUTPUT_BYTES = 14_000  # of a command
LONGEST_NAME = 64
LONGEST_COMMAND = 4096
IN_A_ROW = 40  # characters of a command line

Mib = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]
Identifier = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME), AfterValidator(printable)]
Line = Annotated[str, StringConstraints(max_length=LONGEST_COMMAND), AfterValidator(printable)]


def shortened(text: str, most_bytes: int = MOST_TEXT_BYTES, cut_bytes: int = 0) -> str:
    """Return a text of at most `most_bytes` of UTF-8 (and a note): its beginning and its end, and how much is missing between.

    `cut_bytes` are missing in its middle already.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most_bytes and not cut_bytes:
        return text
    half = min(most_bytes, len(raw)) // 2
    cut_bytes += max(len(raw) - 2 * half, 0)
    beginning, end = raw[:half].decode("utf-8", "ignore"), raw[len(raw) - half :].decode("utf-8", "ignore")
    return f"{beginning}\n[… {cut_bytes} bytes cut …]\n{end}"


def invalid(host: str) -> HostError:
    """Return the error for an answer that is not as it should be."""
    return HostError(f"{host} gave an answer that is not valid: do not rely on what it says")


class Answer(BaseModel):
    """An answer of a tool."""

    model_config = ConfigDict(strict=True, extra="forbid")

    def text(self) -> str:
        """Return the answer as the agent's model reads it."""
        raise NotImplementedError


class HostList(Answer):
    """The hosts that the other tools take."""

    hosts: list[str]

    def text(self) -> str:
        """Return one name a line."""
        return shortened("\n".join(self.hosts))


class Sample(Answer):
    """What a host said at a time."""

    host: str
    time: Annotated[str, Field(description="When the answer arrived, ISO 8601 in UTC")]

    @classmethod
    def of(cls, host: str, found: Any) -> Self:
        """Return a host's answer of this moment. Raises HostError for one that is not as it should be."""
        time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        try:
            return cls.model_validate({**found, "host": host, "time": time})
        except (TypeError, ValidationError):
            raise invalid(host) from None


class MemoryInfo(Sample):
    """The memory of a host, in MiB."""

    total_mb: Mib
    available_mb: Mib
    used_mb: Annotated[Mib, Field(description="Total less available")]
    used_percent: Annotated[float, Field(ge=0, le=100)]
    free_mb: Mib
    buffers_mb: Mib
    cached_mb: Mib
    swap_total_mb: Mib
    swap_used_mb: Mib

    def text(self) -> str:
        """Return two lines."""
        return (
            f"{self.host} at {self.time}, MiB: total {self.total_mb}, used {self.used_mb} ({self.used_percent} %), available "
            f"{self.available_mb}\nfree {self.free_mb}, buffers {self.buffers_mb}, cached {self.cached_mb}, swap used "
            f"{self.swap_used_mb} of {self.swap_total_mb}"
        )


class Process(BaseModel):
    """A process in a list."""

    model_config = ConfigDict(strict=True, extra="forbid")

    pid: Identifier
    name: Name
    state: Annotated[Name, Field(description="As in ps: R, S, D, Z, T, I")]
    ppid: Identifier
    threads: Identifier
    uid: Identifier
    vmrss_mb: Annotated[Mib, Field(description="Resident memory, in MiB")]
    cpu_s: Annotated[Seconds, Field(description="Processor time so far")]
    elapsed_s: Annotated[Seconds, Field(description="Time since its start")]
    cmdline: Line

    def row(self) -> str:
        """Return one line of a table."""
        command = self.cmdline or f"[{self.name}]"
        command = command if len(command) <= IN_A_ROW else f"{command[:IN_A_ROW]}…"
        return f"{self.pid} {self.vmrss_mb} {self.cpu_s:.0f} {self.uid} {command}"


class ProcessList(Sample):
    """Some processes of a host."""

    total: Annotated[int, Field(description="How many processes there are", ge=0, lt=2**32)]
    processes: Annotated[list[Process], Field(max_length=50)]

    def text(self) -> str:
        """Return a table."""
        heading = f"{self.host} at {self.time}, {len(self.processes)} of {self.total} processes"
        rows = [heading, "pid rss_mib cpu_s uid command", *(each.row() for each in self.processes)]
        return shortened("\n".join(rows))


class ProcessInfo(Sample, Process):
    """A process of a host."""

    gid: Identifier
    vmsize_mb: Annotated[Mib, Field(description="Virtual memory, in MiB")]
    vmpeak_rss_mb: Annotated[Mib, Field(description="The most resident memory so far, in MiB")]
    vmswap_mb: Mib
    fd_count: Annotated[int | None, Field(description="Open files; null where they can't be counted", ge=0, lt=2**32)]
    cgroup: Annotated[Line, Field(description="Its last part names the systemd unit")]
    limits: Annotated[
        dict[Name, Annotated[int, Field(ge=0, lt=2**64)] | None],
        Field(description="Soft limits, in bytes or numbers; null: unlimited", max_length=16),
    ]

    def text(self) -> str:
        """Return some lines."""
        limits = ", ".join(
            f"{name} {value if value is not None else 'unlimited'}" for name, value in self.limits.items()
        )
        return shortened(
            f"{self.host} at {self.time}, PID {self.pid} ({self.name}), state {self.state}, parent {self.ppid}\n"
            f"MiB: RSS {self.vmrss_mb} (peak {self.vmpeak_rss_mb}), virtual {self.vmsize_mb}, swap {self.vmswap_mb}\n"
            f"threads {self.threads}, open files {self.fd_count}, CPU {self.cpu_s} s in {self.elapsed_s} s, uid {self.uid}, "
            f"gid {self.gid}\ncgroup {self.cgroup}\nlimits: {limits}\ncommand: {shortened(self.cmdline, 1000)}"
        )


class CommandResult(Sample):
    """What a command printed and how it ended."""

    exit_code: Annotated[
        int | None, Field(description="128 and the signal for one that was killed; null at a time-out", ge=0, le=255)
    ]
    output: Annotated[str, Field(description="stdout and stderr; the middle of a long one is cut, with a note")]
    cut_bytes: Annotated[int, Field(ge=0, lt=2**63)]
    duration_s: Seconds
    timed_out: bool
    all_ended: Annotated[bool, Field(description="After a time-out: whether all that the command started was ended")]

    @classmethod
    def of(cls, host: str, found: Any) -> Self:
        """Return the result of a command. Raises HostError where the host did not run it, or lies."""
        if found == {"refused": "not root"}:
            raise HostError(
                f"{host} is reached as an account that is not root, which can't lend an unprivileged one: the other tools "
                "work; the operator can set ansible_become for it"
            )
        try:
            output = printable(found.pop("beginning") + found.pop("end"), keep="\n\t")
            output = shortened(output, MOST_OUTPUT_BYTES, found["cut_bytes"])
        except (AttributeError, KeyError, TypeError):
            raise invalid(host) from None
        return super().of(host, {**found, "output": output})

    def text(self) -> str:
        """Return the output, and before it what is out of the ordinary."""
        ended = f"timed out after {self.duration_s} s and ended" if self.timed_out else f"exit code {self.exit_code}"
        note = "" if self.all_ended else "; some of its processes could not be ended"
        return f"{self.host} at {self.time}: {ended}{note}\n{self.output}"


class Receipt(Answer):
    """What was received."""

    host: str
    received_at: str

    def text(self) -> str:
        """Return one line."""
        return f"diagnosis of {self.host} received at {self.received_at}"
