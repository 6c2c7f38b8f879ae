"""The judge in batches: requests as JSON lines for a batch service, in the format of OpenAI-compatible ones, and its responses.

A request's `custom_id` is made from the file, the host, the messages and the vote, so responses are found in any order, and
those to an older text or prompt do not count.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory_leak_lab.grading import judge_request
from memory_leak_lab.grading.ground_truth import GroundTruth
from memory_leak_lab.grading.rubric import Finding

URL = "/v1/chat/completions"


def identity(name: str, text: str, truth: GroundTruth, vote: int) -> str:
    """Return the `custom_id` of a request."""
    asked = json.dumps(judge_request.messages(text, truth))
    digest = hashlib.sha256("\0".join([name, truth.host, asked]).encode()).hexdigest()
    return f"{digest[:32]}-{vote}"


def request(name: str, model: str, text: str, truth: GroundTruth, vote: int) -> str:
    """Return a line of a file of requests."""
    line = {
        "custom_id": identity(name, text, truth, vote),
        "method": "POST",
        "url": URL,
        "body": judge_request.body(model, text, truth, vote),
    }
    return json.dumps(line, ensure_ascii=False)


class Responses:
    """Answers that were read from a file of responses: a judge without a network."""

    def __init__(self, path: Path, votes: int, problems: list[str]) -> None:
        """Read a file. A line that is no response is skipped, and a message with its number is appended to `problems`."""
        self._votes = votes
        self._contents: dict[str, str] = {}
        self._failures: dict[str, str] = {}
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
                identity_of = str(found["custom_id"])
            except (ValueError, KeyError, TypeError) as error:
                problems.append(f"{path}, line {number}: not a response with a custom_id: {error!r}")
                continue
            try:
                self._contents[identity_of] = _content(found)
            except (AttributeError, KeyError, TypeError, IndexError, ValueError):
                self._failures[identity_of] = f"the service failed: {json.dumps(found.get('error') or found)[:200]}"

    def judge(self, name: str) -> Callable[[str, GroundTruth], dict[str, Finding]]:
        """Return a judge of the diagnoses in a file."""
        return functools.partial(self._findings, name)

    def _findings(self, name: str, text: str, truth: GroundTruth) -> dict[str, Finding]:
        """Return each category's level with the sentence it is based on, or `ungraded` with the reason."""
        votes: list[dict[str, Finding] | str] = []
        for number in range(self._votes):
            key = identity(name, text, truth, number)
            if key in self._contents:
                votes.append(judge_request.read(self._contents[key], text, truth))
            else:
                votes.append(self._failures.get(key, "no response"))
        return judge_request.majority(votes, truth, self._votes)


def _content(found: dict[str, Any]) -> str:
    """Return the text of an answer: of a batch service's response, or `answer` as somebody wrote it by hand."""
    if "answer" in found:
        answer = found["answer"]
        return answer if isinstance(answer, str) else json.dumps(answer)
    response = found["response"]
    if response.get("status_code", 200) != 200:
        raise ValueError(response)
    return str(response["body"]["choices"][0]["message"]["content"])
