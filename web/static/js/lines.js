// A log's lines: where they begin, and what is shown of them.

const LINE_CHARS_MAX = 10_000;

// Where what a terminal shows of a line begins and ends, when it was drawn over with carriage returns.
function shown(line) {
  let end = line.length;
  while (line[end - 1] === "\r") end -= 1;
  return [line.lastIndexOf("\r", end - 1) + 1, end];
}

export function settled(line) {
  const text = line.slice(...shown(line));
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX)} … (the rest of this line is in the raw log)`;
}

// What to keep of a line that has no end yet: a progress bar may never have one.
export function kept(rest) {
  const [start, end] = shown(rest);
  return rest.slice(start, Math.min(end, start + LINE_CHARS_MAX + 1)) + (end < rest.length ? "\r" : "");
}

// Where the lines begin that come after each newline.
export function afterNewlines(bytes, offset) {
  const starts = [];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) starts.push(offset + at + 1);
  return starts;
}
