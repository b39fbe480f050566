"""The schema of a run's verdict."""

from pydantic import BaseModel, ConfigDict, Field


class CauseSchema(BaseModel):
    """One thing that broke: a failed test, a problem line of the output, or the line of the log that says most."""

    model_config = ConfigDict(from_attributes=True)

    step_id: int
    text: str
    test: str = Field(description="The name of the test; empty where it is none.")
    place: str = Field(description="File, line and column, as far as they are known.")
    log_line: int | None = Field(description="The line of the step's log.")
    known: bool | None = Field(description="The test failed in the run before, too; null where that is not known.")
    flaky: bool
    count: int = Field(description="So many tests of this name failed alike, as in several cells of a matrix.")


class VerdictSchema(BaseModel):
    """What a run came to, as its page says it."""

    model_config = ConfigDict(from_attributes=True)

    sentence: str
    step_id: int | None = Field(description="The step that decided it; null where none did.")
    causes: list[CauseSchema] = Field(description="The first ones.")
    more: int = Field(description="How many further causes there are.")
    explanation: str = Field(description="What Headway knows beyond the sentence; empty where that says it all.")
