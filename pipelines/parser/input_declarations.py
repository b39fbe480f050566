"""The declarations of inputs, of workflows and of fragments: what they mean, and what is wrong with them."""

from collections.abc import Iterator

from pipelines import inputs
from pipelines.inputs import DeclaredInput
from pipelines.model.inputs import InputDeclaration


def declared_input(name: str, asked: InputDeclaration) -> DeclaredInput:
    """The input as the file declares it."""
    default = asked.default
    if default is not None and asked.type == "boolean" and default.lower() in {"true", "false"}:
        default = default.lower()
    return DeclaredInput(
        name=name,
        type="choice" if asked.type == "string" and _choices(asked) else asked.type,
        default=default,
        choices=_choices(asked),
        required=asked.required,
        description=asked.description,
    )


def _choices(asked: InputDeclaration) -> tuple[str, ...]:
    return asked.choices or asked.options


def why_not_declared(each: DeclaredInput, asked: InputDeclaration) -> Iterator[tuple[str, str]]:
    """What is wrong with a declaration besides its name, as the rest of a sentence, each with a hint."""
    if len(each.description) > inputs.DESCRIPTION_CHARS_MAX:
        yield f"has a description of more than {inputs.DESCRIPTION_CHARS_MAX} characters", "make it shorter"
    wrong_choices = _wrong_choices(each, asked)
    if wrong_choices:
        yield wrong_choices
    elif each.default is not None and (why := inputs.why_not_a_value(each, each.default)):
        yield f"has the default {each.default[:80]!r}: {why}", "change the default"


def _wrong_choices(each: DeclaredInput, asked: InputDeclaration) -> tuple[str, str] | None:
    if asked.choices and asked.options:
        return "has 'choices' and 'options', which are the same", "keep 'choices'"
    if each.type != "choice":
        return (f"is a {each.type} and has 'choices'", "write type: choice") if each.choices else None
    if not each.choices:
        return "is a choice without 'choices'", "write choices: [ONE, OTHER]"
    if len(each.choices) > inputs.CHOICES_COUNT_MAX:
        return f"has more than {inputs.CHOICES_COUNT_MAX} choices", "remove some"
    if not all(0 < len(choice) <= inputs.CHOICE_CHARS_MAX for choice in each.choices):
        return f"has a choice that is empty or longer than {inputs.CHOICE_CHARS_MAX} characters", "change it"
    return None
