"""What is kept of an agent's session: a transcript of every call, and the diagnoses that it filed. Nothing of it goes back."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult, TextContent

from memory_leak_controller.report.records import make_directory, replace
from memory_leak_lab.grading.diagnosis_model import Diagnosis, FiledDiagnosis

MOST_ARGUMENT_CHARACTERS = 65_536  # of what a call was given, as JSON


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Session:
    """Writes `transcripts/SESSION.jsonl` and `diagnoses/HOST.SESSION.json` below a directory. Raises OSError where it can't.

    The transcript's first line says which tools were offered on which hosts; each further line is a call. Its owner alone
    reads it, since it holds what the hosts' processes were told.
    """

    def __init__(self, directory: Path) -> None:
        self.name = f"{now():%Y%m%dT%H%M%SZ}-{os.getpid()}"
        self._diagnoses = directory / "diagnoses"
        transcripts = directory / "transcripts"
        for each in (self._diagnoses, transcripts):
            make_directory(each)
        self.transcript = transcripts / f"{self.name}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(self.transcript, flags, 0o600)

    def record(self, event: str, **facts: Any) -> None:
        """Append a line to the transcript. Raises OSError."""
        line = {"time": now().isoformat(timespec="milliseconds"), "event": event, **facts}
        data = json.dumps(line, allow_nan=False).encode("ascii") + b"\n"  # ASCII: no text of a host ends a line
        while data:
            data = data[os.write(self._descriptor, data) :]

    def file(self, host: str, diagnosis: Diagnosis) -> datetime:
        """Keep the diagnosis of a host, in the place of an earlier one of this session; return when. Raises OSError."""
        filed_at = now()
        filed = FiledDiagnosis(host=host, filed_at=filed_at, session=self.name, diagnosis=diagnosis)
        path = self._diagnoses / f"{quote(host, safe='')}.{self.name}.json"  # no name of a host is a path
        replace(path, filed.model_dump_json(indent=1) + "\n")
        return filed_at

    async def record_calls(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Record every call of a tool, also one that is refused, fails or is cancelled. Middleware of the server."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        began, result = time.monotonic(), None
        try:
            result = await call_next(ctx)
        finally:
            self.record(
                "call", **_asked(ctx.params), **_answered(result), duration_s=round(time.monotonic() - began, 3)
            )
        return result


def _asked(params: Any) -> dict[str, Any]:
    """Return the tool and the arguments of a call, which has not been checked yet; too long ones as a text that is cut."""
    name, arguments = (params or {}).get("name"), (params or {}).get("arguments")
    text = json.dumps(arguments, default=str)
    if len(text) > MOST_ARGUMENT_CHARACTERS:
        arguments = f"{text[:MOST_ARGUMENT_CHARACTERS]}… ({len(text) - MOST_ARGUMENT_CHARACTERS} characters more)"
    return {"tool": str(name)[:200], "arguments": arguments}


def _answered(result: HandlerResult) -> dict[str, Any]:
    """Return what the agent was told: the text, the structured answer, and whether it is an error (also: none was given)."""
    if result is None:
        return {"output": None, "structured": None, "is_error": True}
    answer = CallToolResult.model_validate(result)
    output = "\n".join(each.text for each in answer.content if isinstance(each, TextContent))
    return {"output": output, "structured": answer.structured_content, "is_error": bool(answer.is_error)}
