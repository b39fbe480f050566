"""A small terminal: what a person sees of what a program writes. It fails at all that our programs do not write."""

import re

_PART = re.compile(
    r"\x1b\[(?P<arguments>[?0-9;]*)(?P<command>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x00-\x1f\x7f-\x9f])"
)


class Screen:
    """Lines of text. Characters are one column wide; a line that is full goes on in the next."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.cursor_shown = True
        self._line = self._column = 0

    def feed(self, text: str) -> None:
        """Shows what a program writes."""
        at = 0
        while at < len(text):
            part = _PART.match(text, at)
            assert part, f"the terminal gets {text[at : at + 20]!r}"
            at = part.end()
            if part["command"]:
                self._do(part["command"], part["arguments"])
            elif part["control"]:
                self._move(part["control"])
            else:
                self._put(part["text"])

    def _move(self, control: str) -> None:
        self._column = 0  # a terminal's driver makes CR and LF of LF
        if control == "\n":
            self._line += 1
            self.lines += [""] * (self._line + 1 - len(self.lines))

    def _put(self, text: str) -> None:
        if self._column == self.columns:
            self._move("\n")
        line = self.lines[self._line].ljust(self._column)
        self.lines[self._line] = line[: self._column] + text + line[self._column + 1 :]
        self._column += 1

    def _do(self, command: str, arguments: str) -> None:
        match command, arguments:
            case "m", _:
                pass
            case "A", _:
                self._line = max(self._line - int(arguments or 1), 0)
            case "K", "2":
                self.lines[self._line] = ""
            case (("h" | "l"), "?25"):
                self.cursor_shown = command == "h"
            case _:
                raise AssertionError(f"the terminal gets the command {arguments}{command}")

    def text(self) -> str:
        """All lines, without spaces at their ends."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")
