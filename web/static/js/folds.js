// Folded parts of a log. A list of what is visible: it has places from 1 on, and each place has a line.

export class FoldedSource {
  constructor(source) {
    this.source = source;
    this.groups = new Map(); // first line -> { line, last, title, kind }
    this.took = new Map(); // first line -> milliseconds, also of groups of one line, which cannot be folded
    this.closed = new Set(); // first lines
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

  // Opens all that hides a line. Returns whether something was closed.
  reveal(number) {
    const around = [...this.closed].filter((line) => number > line && number <= this.groups.get(line).last);
    for (const line of around) this.closed.delete(line);
    if (around.length) this.#arrange();
    return around.length > 0;
  }

  #arrange() {
    this.hidden = [];
    let before = 0;
    for (const line of [...this.closed].sort((a, b) => a - b)) {
      const previous = this.hidden.at(-1);
      if (previous && line <= previous.last) continue; // inside of a closed one
      const last = this.groups.get(line).last;
      this.hidden.push({ first: line + 1, last, before });
      before += last - line;
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
