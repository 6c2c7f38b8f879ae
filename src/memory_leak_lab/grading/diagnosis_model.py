"""A structured diagnosis: what an agent files in place of a text, for grading by the same rubric."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

LONGEST_TEXT = 20_000  # characters of the root cause and of the mitigation
MOST_MEASUREMENTS = 200

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_TEXT)]


class Part(BaseModel):
    """A part of a diagnosis: nothing besides its fields."""

    model_config = ConfigDict(extra="forbid")


class NamedProcess(Part):
    """The process that is responsible."""

    pid: Annotated[int, Field(ge=1, lt=2**31)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class Measurement(Part):
    """The resident memory of that process at a time: of the clock, or since the first measurement. Raises for none or both."""

    time: Annotated[
        AwareDatetime | None,
        AfterValidator(lambda time: time and time.astimezone(UTC)),
        Field(description="ISO 8601, UTC"),
    ] = None
    elapsed_s: Annotated[float | None, Field(ge=0, allow_inf_nan=False, description="Since the first measurement")] = (
        None
    )
    rss_mib: Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if (self.time is None) == (self.elapsed_s is None):
            raise ValueError("a measurement has either `time` or `elapsed_s`")
        return self


Affected = Annotated[bool, Field(description="Whether the host has a problem that needs attention")]
Responsible = Annotated[NamedProcess | None, Field(description="The responsible process; null where none is")]
Measurements = Annotated[
    list[Measurement],
    Field(max_length=MOST_MEASUREMENTS, description="The resident memory of that process over time, in order"),
]
RootCause = Annotated[Text, Field(description="What the cause is, and what shows that")]
Mitigation = Annotated[Text, Field(description="What should be done, now and for good")]
Confidence = Annotated[float, Field(ge=0, le=1, description="How sure you are, 0 to 1")]


class Diagnosis(Part):
    """What is the matter with a host, and what should be done."""

    affected: Affected
    process: Responsible = None
    measurements: Measurements = []
    root_cause: RootCause = ""
    mitigation: Mitigation = ""
    confidence: Confidence


class FiledDiagnosis(Part):
    """A diagnosis as it is kept: whose host it is about, when it came, and in which session of tools."""

    host: str
    filed_at: AwareDatetime
    session: str
    diagnosis: Diagnosis
