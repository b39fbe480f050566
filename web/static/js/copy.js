// What a reader selects in the log is copied as it was written: with blank lines, without line numbers.

function partOf(line, range) {
  const text = line.lastElementChild;
  const part = document.createRange();
  part.selectNodeContents(text);
  const { startContainer, startOffset, endContainer, endOffset } = range;
  if (part.comparePoint(startContainer, startOffset) === 0) part.setStart(startContainer, startOffset);
  if (part.comparePoint(endContainer, endOffset) === 0) part.setEnd(endContainer, endOffset);
  return part.toString();
}

export function copyAsWritten(lines) {
  lines.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (selection.type !== "Range") return;
    const range = selection.getRangeAt(0);
    const selected = [...lines.querySelectorAll(".line")].filter((line) => range.intersectsNode(line));
    if (selected.length < 2) return;
    event.clipboardData.setData("text/plain", selected.map((line) => partOf(line, range)).join("\n"));
    event.preventDefault();
  });
}
