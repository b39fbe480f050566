// What of a log is visible: parts may be folded, and lines of other streams left out. The list has places from 1 on,
// and each place has a line.

export class FoldedSource {
  constructor(source) {
    this.source = source;
    this.groups = new Map(); // first line -> { line, last, title, kind }
    this.took = new Map(); // first line -> milliseconds, also of groups of one line, which cannot be folded
    this.closed = new Set(); // first lines
    this.left = null; // ranges of lines that a filter leaves out, in order
    this.hidden = []; // ranges of lines that are not visible, in order, with the number of lines hidden before them
  }

  set(groups) {
    this.took = new Map(groups.map(({ line, took_ms }) => [line, took_ms]));
    this.groups = new Map(groups.filter(({ line, last }) => last > line).map((group) => [group.line, group]));
    for (const line of this.closed) if (!this.groups.has(line)) this.closed.delete(line);
    this.#arrange();
  }

  toggle(line) {
    if (!this.closed.delete(line)) this.closed.add(line);
    this.#arrange();
  }

  // Closes all groups but those with one of these lines.
  closeAll(butWith) {
    const keeps = ({ line, last }) => butWith.some((number) => number >= line && number <= last);
    this.closed = new Set([...this.groups.values()].filter((group) => !keeps(group)).map(({ line }) => line));
    this.#arrange();
  }

  openAll() {
    this.closed.clear();
    this.#arrange();
  }

  // Leaves out all of the first `searched` lines that are in none of these ranges; without ranges, none.
  only(ranges, searched) {
    this.left = ranges && [];
    let next = 1;
    for (const [first, last] of ranges ?? []) {
      if (first > next) this.left.push({ first: next, last: first - 1 });
      next = last + 1;
    }
    if (ranges && next <= searched) this.left.push({ first: next, last: searched });
    this.#arrange();
  }

  // Opens all that hides a line. Returns whether something was closed, or left out.
  reveal(number) {
    const leftOut = this.left?.some(({ first, last }) => number >= first && number <= last);
    if (leftOut) this.only(null);
    const around = [...this.closed].filter((line) => number > line && number <= this.groups.get(line).last);
    for (const line of around) this.closed.delete(line);
    if (around.length) this.#arrange();
    return leftOut || around.length > 0;
  }

  #arrange() {
    this.hidden = [];
    let before = 0;
    const folded = [...this.closed].map((line) => ({ first: line + 1, last: this.groups.get(line).last }));
    for (const { first, last } of [...folded, ...(this.left ?? [])].sort((a, b) => a.first - b.first)) {
      const previous = this.hidden.at(-1);
      if (previous && first <= previous.last + 1) {
        // Overlaps what is hidden already, or follows it.
        before += Math.max(0, last - previous.last);
        previous.last = Math.max(previous.last, last);
        continue;
      }
      this.hidden.push({ first, last, before });
      before += last - first + 1;
    }
  }

  // The place of a line; of a hidden one, that of the line which stands for it.
  placeOf(number) {
    let hidden = 0;
    for (const range of this.hidden) {
      if (number < range.first) break;
      if (number <= range.last) return range.first - 1 - range.before;
      hidden = range.before + range.last - range.first + 1;
    }
    return number - hidden;
  }

  // The line at a place.
  lineAt(place) {
    let hidden = 0;
    for (const range of this.hidden) {
      if (place < range.first - range.before) break;
      hidden = range.before + range.last - range.first + 1;
    }
    return place + hidden;
  }

  // What the list asks for is in places.
  get count() {
    return this.source.count && this.placeOf(this.source.count);
  }

  line(place) {
    return this.source.line(this.lineAt(place));
  }

  // Only what is visible is loaded: a hidden part may be long.
  need(first, last) {
    const wanted = [];
    for (let place = first; place <= last; ) {
      const from = this.lineAt(place);
      const next = this.hidden.find((range) => range.first > from)?.first ?? Infinity;
      const until = Math.min(from + (last - place), next - 1);
      wanted.push(this.source.need(from, until));
      place += until - from + 1;
    }
    return Promise.all(wanted);
  }
}
