"""Texts with ``${{ }}`` as values of a pipeline file, as shell text, and conditions as ``evaluate`` or shell tests."""

import re
from collections.abc import Callable

from pipelines.importers.github.expressions.folding import EVENT_NAMES, fold
from pipelines.importers.github.expressions.names import Environment, Input, Names, Output, Reference, Secret, Variable
from pipelines.importers.github.expressions.parser import (
    FALSE,
    TRUE,
    Call,
    Lit,
    Not,
    Op,
    Ref,
    Tree,
    UnreadableError,
    parse_condition,
    split,
)
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.diagnostics import Place

_LEVELS_MAX = 5
_SIGNS = {"==": "==", "!=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_OF_TEST = {"==": "=", "!=": "!=", "<": "-lt", ">": "-gt", "<=": "-le", ">=": "-ge"}
_IN_SHELL_QUOTES = re.compile(r'([\\"`$])')
_OPERATORS = {"contains": "contains", "startswith": "startsWith", "endswith": "endsWith"}


class Texts:
    """Converts the texts of one job. ``secrets`` are the variables that scripts need, with their secrets."""

    def __init__(self, names: Names, remarks: Remarks) -> None:
        self.names, self.remarks = names, remarks
        self.secrets: dict[str, str] = {}
        self._remarked: set[str] = set()

    def value(self, text: str, place: Place) -> Raw:
        """The text as a value of the file; where it cannot be one, an error remark and what can."""
        return self._joined(text, place, lambda tree: self._of_file(tree, place, 0))

    def script(self, text: str, place: Place) -> Raw:
        """The text as a part of a script."""
        return self._joined(text, place, lambda tree: self._of_script(tree, place))

    def quoted(self, text: str, place: Place) -> Raw:
        """The text as a word of the shell in double quotes."""
        made = self._joined(text, place, lambda tree: self._of_script(_in_quotes(tree), place), _escaped)
        return Raw(f'"{made}"')

    def _joined(
        self, text: str, place: Place, convert: Callable[[Tree], str], plain: Callable[[str], str] = str
    ) -> Raw:
        try:
            parts = split(text)
        except UnreadableError as error:
            self.remarks.error(place, f"an expression has {error}, which is not known here; it stays as it is")
            return literal(plain(text))
        found: list[str] = []
        for part in parts:
            try:
                found.append(literal(plain(part)) if isinstance(part, str) else convert(fold(part, "", self.names)))
            except UnreadableError as error:
                self.remarks.error(place, f"an expression has {error}, which has no counterpart; it is left out")
        return Raw("".join(found))

    def environment(self, text: str, place: Place) -> Value | None:
        """The value of a variable in ``environment``; None where only a shell can make it."""
        try:
            parts = [fold(part, "", self.names) if not isinstance(part, str) else part for part in split(text)]
            for part in parts:
                meaning = self.names.meaning(part) if isinstance(part, Ref) else None
                if isinstance(meaning, Secret):
                    if len(parts) > 1:
                        return None
                    return {"from_secret": Raw(self.secret(meaning, place))}
                if not isinstance(part, str):
                    self._of_file(part, place, 0)
        except UnreadableError:
            return None
        return self.value(text, place)

    def secret(self, secret: Secret, place: Place) -> str:
        """The name that a secret has here."""
        name = secret.name.lower()
        if name == "github_token" and name not in self._remarked:
            self._remarked.add(name)
            text = "GITHUB_TOKEN is made for each run there; here it is the secret github_token"
            self.remarks.warning(place, text, "store a token of your own, or leave out what needs it")
        return name

    def _meaning(self, ref: Ref) -> Reference:
        found = self.names.meaning(ref)
        if found is None or isinstance(found, Lit):  # a constant is none in a tree that is folded
            raise UnreadableError(".".join(ref.path))
        return found

    def _of_file(self, tree: Tree, place: Place, level: int) -> str:
        match tree:
            case Lit(text):
                return literal(text)
            case Ref():
                return self._reference_of_file(self._meaning(tree), place, level)
            case Op("||", left, right):
                value, other = self._of_file(left, place, level), self._of_file(right, place, level)
                return f"{value[:-1]}:-{other}}}" if re.fullmatch(r"\$\{\w+\}", value) else value or other
            case Call("format", (Lit(text), *arguments)):
                return _formatted(text, [self._of_file(each, place, level) for each in arguments])
            case Call("hashfiles", arguments):
                files = [self._of_file(each, place, level).removeprefix("./") for each in arguments]
                return f"checksum({', '.join(files)})"
            case _:
                raise UnreadableError(_shown(tree))

    def _reference_of_file(self, meaning: Reference, place: Place, level: int) -> str:
        match meaning:
            case Variable(template):
                return template
            case Secret(name):
                text = f"a secret cannot be a part of this value: the name '{name.lower()}' stands in its place"
                self.remarks.warning(place, text, "write the value")
                return literal(name.lower())
            case Environment(name) if name in self.names.env and level < _LEVELS_MAX:
                parts = (
                    fold(each, "", self.names) if not isinstance(each, str) else each
                    for each in split(self.names.env[name])
                )
                return "".join(
                    literal(each) if isinstance(each, str) else self._of_file(each, place, level + 1) for each in parts
                )
            case Environment(name):
                raise UnreadableError(f"env.{name}")
            case Input(name):
                raise UnreadableError(f"the input {name}")
            case _:
                raise UnreadableError(f"the output {meaning.key}")

    def _of_script(self, tree: Tree, place: Place) -> str:
        match tree:
            case Lit(text):
                return literal(text)
            case Ref():
                return self._reference_of_script(self._meaning(tree), place)
            case Call("format", (Lit(text), *arguments)):
                return _formatted(text, [self._of_script(each, place) for each in arguments])
            case Call():
                raise UnreadableError(_shown(tree))
            case _:
                return self._either(*_choice(tree), place)

    def _reference_of_script(self, meaning: Reference, place: Place) -> str:
        match meaning:
            case Variable(template):
                return template
            case Input(name) if "inputs." not in self.names.env.get(name, "inputs."):
                raise UnreadableError(f"the input {name}, whose name is in 'env' too")
            case Environment(name) | Input(name):
                return f"$${{{name}}}"
            case Output(file, key):
                return f"$(sed -n 's/^{key}=//p' {file} | tail -n 1)"
            case _:
                variable = re.sub(r"\W", "_", meaning.name, flags=re.ASCII).upper()
                self.secrets[variable] = self.secret(meaning, place)
                return f"$${{{variable}}}"

    def _either(self, test: Tree, first: Tree, second: Tree, place: Place) -> str:
        one, other = self._word(first, place), self._word(second, place)
        return f"$(if {self.shell_test(test, place)}; then printf %s {one}; else printf %s {other}; fi)"

    def _word(self, tree: Tree, place: Place) -> str:
        """A value in double quotes."""
        return f'"{self._of_script(_in_quotes(tree), place)}"'

    def shell_test(self, tree: Tree, place: Place) -> str:
        """A condition as a command of the shell. Raises UnreadableError."""
        match tree:
            case Lit():
                return "true" if tree.holds else "false"
            case Not(operand):
                return f"! {{ {self.shell_test(operand, place)}; }}"
            case Op("&&" | "||" as sign, left, right):
                return f"{{ {self.shell_test(left, place)}; }} {sign} {{ {self.shell_test(right, place)}; }}"
            case Op("==" | "!=" as sign, Ref(("github", "event_name")), Lit(text)):
                events = "|".join(event for event, name in EVENT_NAMES.items() if name == text) or "-"
                yes, no = ("true", "false") if sign == "==" else ("false", "true")
                return f'case "$CI_PIPELINE_EVENT" in {events}) {yes} ;; *) {no} ;; esac'
            case Op("<" | ">" | "<=" | ">=", _, Lit(text)) if not text.isdigit():
                raise UnreadableError(f"the number {text}")
            case Op(sign, left, right):
                return f"[ {self._word(left, place)} {_OF_TEST[sign]} {self._word(right, place)} ]"
            case Call("contains" | "startswith" | "endswith" as name, (whole, part)):
                before, after = "*" * (name != "startswith"), "*" * (name != "endswith")
                pattern = f"{before}{self._word(part, place)}{after}"
                return f"case {self._word(whole, place)} in {pattern}) true ;; *) false ;; esac"
            case _:
                word = self._word(tree, place)
                return f"[ -n {word} ] && [ {word} != false ]"


def _escaped(text: str) -> str:
    """A text that means itself in double quotes of a shell."""
    return _IN_SHELL_QUOTES.sub(r"\\\1", text)


def _in_quotes(tree: Tree) -> Tree:
    """An expression for double quotes of a shell: its constants are escaped. Those of a choice have quotes already."""
    match tree:
        case Lit(text):
            return Lit(_escaped(text), is_text=True)
        case Call("format" as name, arguments):
            return Call(name, tuple(_in_quotes(each) for each in arguments))
        case _:
            return tree


def _formatted(text: str, values: list[str]) -> str:
    return re.sub(r"\{\{|\}\}|\{(\d{1,3})\}", lambda found: _of_format(found, values), literal(text))


def _of_format(found: re.Match[str], values: list[str]) -> str:
    """What stands for ``{0}`` in a text of ``format``; a doubled brace is one."""
    if found[1] is None:
        return found[0][0]
    return values[int(found[1])] if int(found[1]) < len(values) else ""


def _choice(tree: Not | Op) -> tuple[Tree, Tree, Tree]:
    """A condition, and the values where it holds and where it does not."""
    match tree:
        case Op("||", Op("&&", test, first), second):
            return test, first, second
        case Op("||", left, right):
            return left, left, right
        case Op("&&", left, right):
            return left, right, left
        case _:
            return tree, TRUE, FALSE


def evaluate(tree: Tree, texts: Texts) -> str:
    """A condition as an expression of ``evaluate``. Raises UnreadableError."""
    match tree:
        case Lit():
            return "true" if tree.holds else "false"
        case Not(operand):
            return f"!({evaluate(operand, texts)})"
        case Op("&&" | "||" as sign, left, right):
            both = (evaluate(left, texts), evaluate(right, texts))
            inner = (
                f"({text})" if isinstance(side, Op) and side.sign in {"&&", "||"} else text
                for side, text in zip((left, right), both, strict=True)
            )
            return f" {sign} ".join(inner)
        case Op(sign, left, right):
            return f"{_operand(left, texts)} {_SIGNS[sign]} {_operand(right, texts)}"
        case Call("contains" | "startswith" | "endswith" as name, (whole, part)):
            return f"{_operand(whole, texts)} {_OPERATORS[name]} {_operand(part, texts)}"
        case _:
            return f'!({_operand(tree, texts)} in ["", "false"])'


def _operand(tree: Tree, texts: Texts) -> str:
    if isinstance(tree, Ref):
        meaning = texts.names.meaning(tree)
        if isinstance(meaning, Variable):
            return meaning.operand
        if isinstance(meaning, Input):
            return meaning.name
        if isinstance(meaning, Environment) and "${{" not in texts.names.env.get(meaning.name, "${{"):
            tree = Lit(texts.names.env[meaning.name])
    if not isinstance(tree, Lit):
        raise UnreadableError(_shown(tree))
    if '"' in tree.text or "\\" in tree.text:
        raise UnreadableError(tree.text)
    return f'"{tree.text}"'


def condition_of(text: str) -> Tree:
    """The tree of an ``if``. Raises UnreadableError."""
    return parse_condition(text)


def _shown(tree: Tree) -> str:
    match tree:
        case Ref(path):
            return ".".join(path)
        case Call(name):
            return f"{name}()"
        case Op(sign):
            return f"'{sign}'"
        case _:
            return "a negation"
