"""The settings that a process has, and where each comes from. No value that is a secret is ever in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.services import OperationServices
from workers.housekeeping_settings import HousekeepingSettings
from workers.setting_names import PREFIX
from workers.settings import Settings

HIDDEN = "********"
SET, NOT_SET = "set", "not set"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class Source(StrEnum):
    """Where the value of a setting comes from."""

    ENVIRONMENT = "environment"
    FILE = "file"
    COMMAND = "headway serve"
    DEFAULT = "default"


@dataclass(frozen=True)
class SettingInForce:
    """A setting by the name of its variable. ``value`` is text; of a secret it says only whether it is set."""

    name: str
    value: str
    source: Source
    meaning: str


def list_settings(
    services: OperationServices, actor: Actor, environment: Mapping[str, str]
) -> Sequence[SettingInForce]:
    """The settings of this process, which has this environment. Raises ForbiddenError."""
    check_administrator(actor)
    return settings_in_force(services.settings, environment)


def settings_in_force(settings: Settings, environment: Mapping[str, str]) -> list[SettingInForce]:
    """All settings, in the order of the documentation. ``environment`` is that of the process that read them."""
    names = {name.upper() for name in environment}
    last = HousekeepingSettings.model_fields
    fields = sorted(Settings.model_fields.items(), key=lambda item: item[0] in last)
    return [_in_force(settings, name, field, names) for name, field in fields]


def _in_force(settings: Settings, name: str, field: FieldInfo, environment: set[str]) -> SettingInForce:
    variable = f"{PREFIX}{name.upper()}"
    source = Source.DEFAULT
    if name in settings.model_fields_set:
        source = Source.ENVIRONMENT if variable in environment else Source.COMMAND
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        shown = SET if value.get_secret_value() else NOT_SET
        if name == "secret_keys" and not value.get_secret_value() and settings.key_file.exists():
            shown, source = SET, Source.FILE
    else:
        shown = _shown(_effective(settings, name, value))
    return SettingInForce(variable, shown, source, _plain(field.description or ""))


def _effective(settings: Settings, name: str, value: object) -> object:
    """What an empty value stands for."""
    if value not in ("", None):
        return value
    meant: dict[str, object] = {
        "database_url": settings.database,
        "base_url": settings.url,
        "secret_key_file": settings.key_file,
        "blob_url": settings.blobs_dir,
    }
    return meant.get(name, value)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return without_login(str(value))


def without_login(text: str) -> str:
    """An address without the login and the query that it may have; other text as it is."""
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        return text
    # A password may hold every character: all before the last @ counts as the login, also what looks like a path.
    _, at, place = rest.rpartition("@")
    place, question, _ = place.partition("?")
    return f"{scheme}://{f'{HIDDEN}@' if at else ''}{place}{f'?{HIDDEN}' if question else ''}"


def _plain(description: str) -> str:
    """The description without the marks of the documentation."""
    return _LINK.sub(r"\1", description).replace("`", "")
