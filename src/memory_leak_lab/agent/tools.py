"""The tools, as an agent sees them. Names, descriptions, answers and errors tell nothing but what a host's own state does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from memory_leak_controller import __version__
from memory_leak_controller.escaping import printable
from memory_leak_lab.agent import programs
from memory_leak_lab.agent.answers import (
    Answer,
    CommandResult,
    HostList,
    MemoryInfo,
    ProcessInfo,
    ProcessList,
    Receipt,
    Sample,
)
from memory_leak_lab.agent.hosts import HostError, Hosts
from memory_leak_lab.agent.session import Session
from memory_leak_lab.grading.diagnosis_model import (
    Affected,
    Confidence,
    Diagnosis,
    Measurements,
    Mitigation,
    Responsible,
    RootCause,
)

Mode = Literal["read", "shell", "root"]
SERVER_NAME = "host-tools"
READ_TIMEOUT_S = 30
END_TIMEOUT_S = 15  # what a command's end may take beyond its own time-out
LONGEST_COMMAND = 32_768
OUTPUT_BYTES = 14_000  # of a command, that its host sends

Host = Annotated[str, Field(description="A name that list_hosts returns")]
READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
FILES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
RUNS_ANYTHING = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)
RULES = (
    "It has no terminal and no input, starts in /, and is ended with all that it started after timeout_s. stdout and stderr "
    "come together; of more than 14 kB the middle is cut, so let the command select."
)
BASH = {
    "shell": "Run a bash command on a host as an account without privileges that reads logs and the journal (groups adm and "
    f"systemd-journal). {RULES}",
    "root": f"Run a bash command on a host as root. {RULES}",
}


class Tools:
    """The tools on the hosts of an inventory, and the session that keeps what is filed."""

    def __init__(self, hosts: Hosts, session: Session, mode: Mode) -> None:
        self._hosts = hosts
        self._session = session
        self._mode = mode

    def server(self, **options: Any) -> MCPServer:
        """Return a server with the tools of the mode, and record which they are. `options` are MCPServer's.

        Raises OSError where the session can't be recorded.
        """
        offered: dict[Callable[..., Any], ToolAnnotations] = {
            self.list_hosts: READ_ONLY,
            self.get_memory_info: READ_ONLY,
            self.list_processes: READ_ONLY,
            self.get_process_info: READ_ONLY,
            self.submit_diagnosis: FILES,
        }
        if self._mode != "read":
            offered[self.bash_execute] = RUNS_ANYTHING
        server = MCPServer(SERVER_NAME, log_level="WARNING", middleware=[self._session.record_calls], **options)
        for tool, hints in offered.items():
            description = BASH[self._mode] if tool == self.bash_execute else None
            server.add_tool(tool, description=description, annotations=hints)
        names = [tool.__name__ for tool in offered]
        self._session.record("start", version=__version__, mode=self._mode, tools=names, hosts=self._hosts.names)
        return server

    async def list_hosts(self) -> Annotated[CallToolResult, HostList]:
        """List the hosts that the other tools take."""
        return _result(HostList(hosts=self._hosts.names))

    async def get_memory_info(self, host: Host) -> Annotated[CallToolResult, MemoryInfo]:
        """Get the memory and swap of a host, in MiB."""
        return _result(await self._read(MemoryInfo, host, "memory"))

    async def list_processes(
        self,
        host: Host,
        limit: Annotated[int, Field(ge=1, le=50)] = 15,
        sort_by: Annotated[
            Literal["rss", "cpu", "name"],
            Field(description="rss: the most resident memory first; cpu: the most processor time so far first"),
        ] = "rss",
    ) -> Annotated[CallToolResult, ProcessList]:
        """List processes of a host."""
        return _result(await self._read(ProcessList, host, "process_list", limit=limit, sort_by=sort_by))

    async def get_process_info(
        self, host: Host, pid: Annotated[int, Field(ge=1, lt=2**31)]
    ) -> Annotated[CallToolResult, ProcessInfo]:
        """Get details of a process of a host: memory in MiB, open files, limits, cgroup."""
        return _result(await self._read(ProcessInfo, host, "process", pid=pid))

    async def bash_execute(
        self,
        host: Host,
        command: Annotated[str, Field(min_length=1, max_length=LONGEST_COMMAND)],
        timeout_s: Annotated[float, Field(gt=0, le=600)] = 30,
    ) -> Annotated[CallToolResult, CommandResult]:
        """Run a command; the description depends on the mode."""
        if "\0" in command:
            raise ToolError("a command can't hold a null character")
        arguments = {
            "command": command,
            "timeout_s": timeout_s,
            "most_bytes": OUTPUT_BYTES,
            "root": self._mode == "root",
        }
        program = programs.program("command", "run", **arguments)
        return _result(await self._ask(CommandResult, host, program, timeout_s + END_TIMEOUT_S))

    async def submit_diagnosis(
        self,
        host: Host,
        affected: Affected,
        confidence: Confidence,
        process: Responsible = None,
        measurements: Measurements | None = None,
        root_cause: RootCause = "",
        mitigation: Mitigation = "",
    ) -> Annotated[CallToolResult, Receipt]:
        """Submit your diagnosis of a host, healthy or not. A later one of the same host takes the place of the earlier."""
        if host not in self._hosts.names:
            raise ToolError(f"there is no host {printable(host, 100)!r}: list_hosts returns the names")
        diagnosis = Diagnosis(
            affected=affected,
            process=process,
            measurements=measurements or [],
            root_cause=root_cause,
            mitigation=mitigation,
            confidence=confidence,
        )
        filed_at = self._session.file(host, diagnosis)
        return _result(Receipt(host=host, received_at=filed_at.isoformat(timespec="seconds")))

    async def _read(self, kind: type[Sample], host: str, function: str, **arguments: Any) -> Sample:
        return await self._ask(kind, host, programs.program("state", function, **arguments), READ_TIMEOUT_S)

    async def _ask(self, kind: type[Sample], host: str, program: bytes, timeout_s: float) -> Sample:
        """Return a host's answer to a program. Raises ToolError with what to do."""
        try:
            found = programs.returned(host, await self._hosts.run(host, program, timeout_s))
            if found is None:
                raise HostError(f"{host} has no such process (any more): list_processes shows those that it has")
            return kind.of(host, found)
        except HostError as error:
            raise ToolError(str(error)) from None


def _result(answer: Answer) -> CallToolResult:
    """Return an answer in both forms."""
    text = TextContent(type="text", text=answer.text())
    return CallToolResult(content=[text], structured_content=answer.model_dump(mode="json"))
