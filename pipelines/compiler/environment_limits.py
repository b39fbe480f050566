"""Reports variables and commands that are too large for a program, with their place, as far as they are known."""

from collections.abc import Mapping

from pipelines.compiler.job_input import JobInput
from pipelines.environment.environment_size import WORD_BYTES_MAX, byte_count, is_word, too_large
from pipelines.plan import EnvValue

Where = tuple[str | int, ...]
_FROM_COMMANDS = "HEADWAY_TEXT_"


def check_environment(
    job: JobInput, label: str, environment: Mapping[str, EnvValue], where: Where, places: Mapping[str, Where]
) -> None:  # fmt: skip
    """Reports variables that are too large even without their secrets. ``places`` has those that are in the file."""
    for wrong in too_large({name: _known_bytes(value) for name, value in environment.items()}):
        what = wrong.message
        if wrong.name.startswith(_FROM_COMMANDS):
            what += ": a value that ${...} puts into the commands"
        job.diagnostics.error(job.place(*places.get(wrong.name, where)), f"{what} (in {label})", wrong.hint)


def _known_bytes(value: EnvValue) -> int:
    return sum(byte_count(part) for part in value if isinstance(part, str))


def check_word(job: JobInput, label: str, word: str, where: Where) -> None:
    """Reports a command that is too large for one word of a command line."""
    if not is_word(word):
        message = f"'{where[-1]}' of {label} has {byte_count(word):,} bytes; a program gets at most {WORD_BYTES_MAX:,}"
        job.diagnostics.error(job.place(*where), message, "put it into a file of the repository, and run that")
