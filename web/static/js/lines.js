// The lines of a log: where they begin, and what the page shows of them.

const LINE_CHARS_MAX = 10_000;

// The part of a line that a terminal shows: what follows the last carriage return. Returns its start and end.
function visiblePart(line) {
  let end = line.length;
  while (line[end - 1] === "\r") end -= 1;
  return [line.lastIndexOf("\r", end - 1) + 1, end];
}

// Characters that hide, or that reorder what stands beside them, as in pipelines/visible.py: only colours may stay.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

function escaped(char) {
  const code = char.codePointAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
}

export function displayed(line) {
  const text = line.slice(...visiblePart(line)).replace(HIDDEN, escaped);
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
