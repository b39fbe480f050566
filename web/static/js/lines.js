// The lines of a log: where they begin, and what the page shows of them.

const LINE_CHARS_MAX = 10_000;

// The part of a line that a terminal shows: what follows the last carriage return. Returns its start and end.
function visiblePart(line) {
  let end = line.length;
  while (line[end - 1] === "\r") end -= 1;
  return [line.lastIndexOf("\r", end - 1) + 1, end];
}

export function displayed(line) {
  const text = line.slice(...visiblePart(line));
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX)} … (the rest of this line is in the raw log)`;
}

// What to keep of an unfinished line: only the visible part, because a progress bar may never end.
export function keptOfUnfinished(rest) {
  const [start, end] = visiblePart(rest);
  return rest.slice(start, Math.min(end, start + LINE_CHARS_MAX + 1)) + (end < rest.length ? "\r" : "");
}

// The offset after each newline: where the lines begin.
export function afterNewlines(bytes, offset) {
  const starts = [];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) starts.push(offset + at + 1);
  return starts;
}
