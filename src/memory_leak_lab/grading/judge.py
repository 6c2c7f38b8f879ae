"""An optional judge: a language model behind an OpenAI-compatible endpoint, asked several times for each diagnosis.

A level needs a majority of all votes. Every failure loses a vote, and without a majority the category is `ungraded`: a failing
judge never causes a low grade.

Environment: `MEMORY_LEAK_JUDGE_MODEL` names the model; the client library reads `OPENAI_BASE_URL` and `OPENAI_API_KEY`.
"""

from __future__ import annotations

import asyncio
import os

import openai

from memory_leak_lab.grading import judge_request
from memory_leak_lab.grading.ground_truth import GroundTruth
from memory_leak_lab.grading.rubric import Finding

TIMEOUT_S = 60.0


class Judge:
    """Asks a model for the levels of a diagnosis. Raises ValueError if the environment does not configure it."""

    def __init__(self, votes: int = judge_request.VOTES, timeout_s: float = TIMEOUT_S) -> None:
        model = judge_request.model_name()
        if not model:
            raise ValueError(f"{judge_request.MODEL_VARIABLE} is not set: set it to the name of the model that judges")
        if not os.environ.get("OPENAI_API_KEY"):
            raise ValueError("OPENAI_API_KEY is not set: if the endpoint needs no key, set it to any text")
        self._model, self._votes, self._timeout_s = model, votes, timeout_s

    def __call__(self, text: str, truth: GroundTruth) -> dict[str, Finding]:
        """Return each category's level with the sentence it is based on, or `ungraded` with the reason."""
        votes = asyncio.run(self._all_votes(text, truth))
        return judge_request.majority(votes, truth, self._votes)

    async def _all_votes(self, text: str, truth: GroundTruth) -> list[dict[str, Finding] | str]:
        async with openai.AsyncOpenAI(max_retries=1, timeout=self._timeout_s) as client:
            return await asyncio.gather(*(self._vote(client, text, truth, number) for number in range(self._votes)))

    async def _vote(
        self, client: openai.AsyncOpenAI, text: str, truth: GroundTruth, number: int
    ) -> dict[str, Finding] | str:
        """Return the findings of one vote, or the reason why it does not count."""
        asked = client.chat.completions.create(**judge_request.body(self._model, text, truth, number))
        try:
            # The client's timeout applies to each read: an answer that trickles in would never time out.
            answer = await asyncio.wait_for(asked, self._timeout_s)
            content = answer.choices[0].message.content or ""
        except Exception as error:  # any failure of the endpoint loses this vote
            return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return judge_request.read(content, text, truth)
