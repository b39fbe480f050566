"""Which files of a step are reports: results of tests, and coverage."""

from typing import ClassVar

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Texts


class Reports(PipelineModel):
    """Patterns of report files, which are read when the step has ended, also when it failed."""

    wanted: ClassVar[str] = "a map with 'junit' or 'coverage'"
    remedy: ClassVar[str] = "write for example reports: {junit: report.xml}"

    junit: Texts = ()
    coverage: Texts = ()
