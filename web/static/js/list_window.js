// The elements of a virtual list's window.

// The index of the last element that begins at `position` pixels or above.
export function indexAt(window, position) {
  let [low, high] = [0, window.childElementCount];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (window.children[middle].offsetTop <= position) low = middle;
    else high = middle;
  }
  return low;
}

export function removeElements(window, from, to) {
  const range = document.createRange();
  range.setStart(window, from);
  range.setEnd(window, to);
  range.deleteContents();
}

// Whether the reader has selected text that begins in the window.
export function selectsIn(window) {
  const selection = getSelection();
  return selection?.type === "Range" && window.contains(selection.anchorNode);
}
