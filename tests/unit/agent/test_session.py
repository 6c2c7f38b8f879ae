"""The transcript holds every call, whatever it was, and the diagnoses are kept whole."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from helpers.agent_sessions import error, inventory_by_ssh, local_inventory, tools, transcript
from memory_leak_lab.agent.session import MOST_ARGUMENT_CHARACTERS, Session
from memory_leak_lab.grading.diagnosis_model import Diagnosis, FiledDiagnosis

pytestmark = pytest.mark.anyio


async def test_it_begins_with_what_was_offered(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1", "web2"), tmp_path, "shell"):
        pass
    (start,) = transcript(tmp_path)
    assert (start["event"], start["mode"], start["hosts"]) == ("start", "shell", ["web1", "web2"])
    assert "bash_execute" in start["tools"]


async def test_every_call_is_recorded_with_what_was_answered(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path) as client:
        await client.call_tool("get_memory_info", {"host": "web1"})
        await client.call_tool("get_memory_info", {"host": "web2"})
        await client.call_tool("list_processes", {"host": "web1", "limit": 0})
        await client.call_tool("no_such_tool", {"a": 1})
    _start, good, unknown, refused, missing = transcript(tmp_path)
    assert (good["tool"], good["arguments"], good["is_error"]) == ("get_memory_info", {"host": "web1"}, False)
    assert f"total {good['structured']['total_mb']}" in good["output"]
    assert "no host 'web2'" in unknown["output"]
    assert [each["is_error"] for each in (unknown, refused, missing)] == [True, True, True]
    assert missing["tool"] == "no_such_tool"


async def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert stat.S_IMODE(session.transcript.stat().st_mode) == 0o600


async def test_no_text_of_a_host_breaks_a_line(tmp_path: Path) -> None:
    lie = {
        "exit_code": 0,
        "beginning": '\u2028"}\n{"event": "call"\udcff',
        "end": "",
        "cut_bytes": 0,
        "duration_s": 0.1,
    }
    (tmp_path / "lie").write_text("answer: " + ascii({**lie, "timed_out": False, "all_ended": True}))
    async with tools(inventory_by_ssh(tmp_path, f"cat >/dev/null; cat {tmp_path}/lie"), tmp_path, "root") as client:
        await client.call_tool("bash_execute", {"host": "liar", "command": "true"})
    assert len(transcript(tmp_path)) == 2


async def test_a_call_that_can_not_be_recorded_fails_and_tells_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_facts: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    async with tools(local_inventory(tmp_path, "web1"), tmp_path) as client:
        monkeypatch.setattr(Session, "record", full)
        with pytest.raises(MCPError) as raised:
            await client.call_tool("list_hosts", {})
    assert str(tmp_path) not in str(raised.value)


async def test_long_arguments_are_cut(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path) as client:
        await error(client, "get_memory_info", host="x" * 1_000_000)
    call = transcript(tmp_path)[-1]
    assert len(call["arguments"]) < MOST_ARGUMENT_CHARACTERS + 100
    assert len(json.dumps(call)) < MOST_ARGUMENT_CHARACTERS + 2000


async def test_a_later_diagnosis_replaces_the_earlier(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path) as client:
        for confidence in (0.2, 0.8):
            result = await client.call_tool(
                "submit_diagnosis", {"host": "web1", "affected": False, "confidence": confidence}
            )
            assert not result.is_error
            assert set(result.structured_content or {}) == {"host", "received_at"}
    (path,) = (tmp_path / "diagnoses").iterdir()
    filed = FiledDiagnosis.model_validate_json(path.read_text())
    assert filed.diagnosis == Diagnosis(affected=False, confidence=0.8)
    assert path.name == f"web1.{filed.session}.json"


def test_no_host_name_is_a_path(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.file("../../etc/web1", Diagnosis(affected=False, confidence=1))
    assert [path.name for path in (tmp_path / "diagnoses").iterdir()] == [f"..%2F..%2Fetc%2Fweb1.{session.name}.json"]
