"""Machine-readable files and the ground truth."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from helpers.project import PROJECT
from helpers.sample_records import fleet, result
from memory_leak_controller import contract
from memory_leak_controller.report import records

SCHEMA = json.loads((PROJECT / "docs" / "status.schema.json").read_text())


GROUND_TRUTH_SCHEMA = json.loads((PROJECT / "docs" / "ground-truth.schema.json").read_text())


NOTHING = records.RecordedSetup("leaker", None)
NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


MIB = 1024**2


def test_status_json_matches_its_schema(tmp_path: Path) -> None:
    records.write(tmp_path / "reports", "status", fleet(12), NOW)
    status = json.loads((tmp_path / "reports" / "status.json").read_text())
    jsonschema.validate(status, SCHEMA)
    assert (status["generated_at"], status["operation"]) == ("2026-11-23T01:02:03+00:00", "status")
    assert [host["host"] for host in status["hosts"]] == [f"host{number}" for number in range(1, 13)]
    assert [len(host["samples"]) for host in status["hosts"]] == [61] * 6 + [0] + [61] * 5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**status, "hosts": [{**status["hosts"][0], "outcome": "fine"}]}, SCHEMA)
    assert list((tmp_path / "reports").iterdir()).__len__() == 2  # no temporary file is left


def test_status_csv_has_a_line_per_host(tmp_path: Path) -> None:
    records.write(tmp_path, "status", fleet(8), NOW)
    lines = list(csv.DictReader((tmp_path / "status.csv").open()))
    assert [line["host"] for line in lines] == [f"host{number}" for number in range(1, 9)]
    assert (lines[0]["rate_mib_per_min"], lines[0]["rate_ci95_low_mib_per_min"]) == ("31", "30.96")
    assert (lines[6]["outcome"], lines[6]["pid"], lines[6]["message"]) == ("unreachable", "", "no answer")


def test_ground_truth_is_private_and_gets_a_line_per_event(tmp_path: Path) -> None:
    directory = tmp_path / "ground_truth"

    def append(event: str, outcome: str, found: dict[str, Any]) -> None:
        records.append_ground_truth(directory, event, contract.record("a/b", outcome, found), NOW)

    append("setup", "running", result(seconds=0, samples=[]))
    append("observation", "leaking", result())
    append("cleanup", "absent", {"variant": "leaker"})
    [file] = directory.iterdir()
    assert (file.name, file.stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == ("a%2Fb.jsonl", 0o600, 0o700)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, GROUND_TRUTH_SCHEMA)
    assert [line["event"] for line in lines] == ["setup", "observation", "cleanup"]
    assert lines[0]["samples"] == [[NOW.timestamp(), 100 * MIB]]
    assert lines[1]["samples"][-1] == [NOW.timestamp(), 115 * MIB]
    assert lines[1]["samples"][0] == [NOW.timestamp() - 30, 100 * MIB]
    assert lines[2]["samples"] == []


def test_a_ground_truth_directory_open_to_others_is_refused_and_unchanged(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(records.NotPrivateError, match=r"memory_leak_ground_truth_dir .* has mode 0755"):
        records.append_ground_truth(tmp_path, "setup", contract.record("web1", "running", result()), NOW)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change owners")
def test_ground_truth_controlled_by_another_user_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "truth"
    directory.mkdir(mode=0o700)
    os.chown(directory, 1, -1)
    record = contract.record("web1", "running", result())
    with pytest.raises(records.NotPrivateError, match="belongs to user 1"):
        records.append_ground_truth(directory, "setup", record, NOW)
    os.chown(directory, 0, -1)
    os.mkfifo(directory / "web1.jsonl")  # would be waited for
    with pytest.raises(OSError):  # by the kernel or by the check
        records.append_ground_truth(directory, "setup", record, NOW)
    with pytest.raises(records.NotPrivateError):
        records.recorded_setup(directory, "web1")
    (directory / "web1.jsonl").unlink()
    (directory / "web1.jsonl").write_text('{"event": "setup", "variant": "decoy", "outcome": "running"}\n')
    os.chown(directory / "web1.jsonl", 1, -1)
    with pytest.raises(records.NotPrivateError):
        records.recorded_setup(directory, "web1")
    (tmp_path / "link").symlink_to(tmp_path)
    os.chown(tmp_path / "link", 1, -1, follow_symlinks=False)
    with pytest.raises(PermissionError, match="is a symlink of user 1"):
        records.append_ground_truth(tmp_path / "link" / "other", "setup", record, NOW)


def test_a_symlink_owned_by_another_user_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "reports"
    link.symlink_to(tmp_path)
    records.make_directory(link)
    if os.geteuid() == 0:
        os.chown(link, 1, -1, follow_symlinks=False)
        with pytest.raises(PermissionError, match="is a symlink of user 1"):
            records.make_directory(link)


def test_the_recorded_variant_is_kept_from_the_last_setup_until_cleanup(tmp_path: Path) -> None:
    directory = tmp_path / "ground_truth"
    assert records.recorded_setup(directory, "web1") is None

    def append(event: str, variant: str | None, outcome: str = "running") -> None:
        record = contract.record("web1", outcome, result(variant=variant))
        records.append_ground_truth(directory, event, record, NOW)

    append("setup", "decoy")
    append("observation", "leaker")
    assert (records.recorded_setup(directory, "web1") or NOTHING).variant == "decoy"
    with (directory / "web1.jsonl").open("a") as file:
        file.write('{"event": "setup", "varia')  # torn
    assert (records.recorded_setup(directory, "web1") or NOTHING).variant == "decoy"
    append("cleanup", "decoy")
    assert records.recorded_setup(directory, "web1") is None
    append("reset", "control")
    assert (records.recorded_setup(directory, "web1") or NOTHING).variant == "control"
    for _observation in range(200):  # more than a block of the file
        append("observation", None)
    assert (records.recorded_setup(directory, "web1") or NOTHING).variant == "control"
    for outcome in ("refused", "failed"):
        append("setup", "leaker", outcome)
        append("cleanup", "leaker", outcome)
    assert (records.recorded_setup(directory, "web1") or NOTHING).variant == "control"


def test_text_from_a_host_cannot_be_a_formula_in_the_csv(tmp_path: Path) -> None:
    found = result(message="=HYPERLINK(1)", rate_mib_per_min=-3.0)
    records.write(tmp_path, "status", [contract.record("web1", "off_rate", found)], NOW)
    [line] = csv.DictReader((tmp_path / "status.csv").open())
    assert (line["message"], line["rate_mib_per_min"]) == ("'=HYPERLINK(1)", "-3.0")


def test_a_long_host_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    names = {records.file_name("\u6f22" * 40 + end) for end in ("a", "b")}
    assert len(names) == 2
    assert max(map(len, names)) < 255


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        records.replace(tmp_path / "status.json", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
