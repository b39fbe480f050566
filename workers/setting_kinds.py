"""The types of settings: what their values may be, and how large."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from workers import setting_checks as checks

# What is larger was meant in another unit.
SECONDS_MAX = 366 * 24 * 3600
DAYS_MAX = 36_500
HOURS_MAX = 366 * 24
COUNT_MAX = 1_000_000
FILES_MAX = 2**30
SLOTS_MAX = 1_000
BYTES_MAX = 2**50

Seconds = Annotated[int, Field(le=SECONDS_MAX)]
Hours = Annotated[int, Field(le=HOURS_MAX)]
Days = Annotated[int, Field(le=DAYS_MAX)]
Count = Annotated[int, Field(le=COUNT_MAX)]
Files = Annotated[int, Field(le=FILES_MAX)]
Slots = Annotated[int, Field(le=SLOTS_MAX)]
Percent = Annotated[int, Field(le=100)]
Bytes = Annotated[int, Field(le=BYTES_MAX)]
Memory = Annotated[int, Field(le=BYTES_MAX), AfterValidator(checks.nothing_or_memory)]
Cpus = Annotated[float, Field(le=COUNT_MAX), AfterValidator(checks.nothing_or_cpus)]

Line = Annotated[str, AfterValidator(checks.printable)]
DatabaseAddress = Annotated[str, AfterValidator(checks.database_address)]
RedisAddress = Annotated[str, AfterValidator(checks.redis_address)]
WebAddress = Annotated[str, AfterValidator(checks.web_address)]
ListeningHost = Annotated[str, AfterValidator(checks.listening_host)]
HostNames = Annotated[str, AfterValidator(checks.host_names)]
Networks = Annotated[str, AfterValidator(checks.networks)]
EngineAddress = Annotated[str, AfterValidator(checks.engine_address)]

Folder = Annotated[Path, AfterValidator(checks.a_path)]
KeyFile = Annotated[Path | None, BeforeValidator(checks.no_folder)]
PasswordFile = Annotated[Path | None, BeforeValidator(checks.readable_file("the password"))]
