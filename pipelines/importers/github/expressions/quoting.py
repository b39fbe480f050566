"""Where a shell replaces nothing in a script: in single quotes and in here-documents whose end is quoted."""

import re
from collections.abc import Iterator

from pipelines.importers.github.expressions.parser import parts_of

_HEREDOC = re.compile(r"<<-?[ \t]*(['\"\\]?)(\w+)")
_SIGN = re.compile(r"['\"\\#]")


def expressions_as_they_are(text: str) -> Iterator[str]:
    """The expressions of a script in which a shell would replace no variable."""
    end, quote, is_plain = "", "", False
    for line in text.splitlines():
        if end:
            end = "" if line.strip() == end else end
            if is_plain:
                yield from (part for part, is_expression in parts_of(line) if is_expression)
            continue
        for part, is_expression in parts_of(line):
            if not is_expression:
                quote = _quote_after(part, quote)
            elif quote == "'":
                yield part
        found = None if quote else _HEREDOC.search(line)
        end, is_plain = (found[2], bool(found[1])) if found else ("", False)


def _quote_after(text: str, quote: str) -> str:
    """The quote that is open behind a part of a line, in which ``quote`` is open at its start."""
    at = 0
    while found := _SIGN.search(text, at):
        sign, at = found[0], found.end()
        if sign == quote:
            quote = ""
        elif sign == "\\" and quote != "'":
            at += 1
        elif sign in "'\"" and not quote:
            quote = sign
        elif sign == "#" and not quote and not text[: found.start()][-1:].strip():
            break
    return quote
