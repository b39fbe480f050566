// Find over the whole log: the server searches, the page goes to the line and marks what it shows of the matches.

const FAST_LINE_CHARS_MAX = 1000;
const COUNTED_MAX = 20_000; // lines; beyond them the number has a plus

export class Find {
  constructor(root, view) {
    this.url = `${root.dataset.log}/search`;
    this.view = view;
    this.lines = document.getElementById("log-lines");
    this.status = document.getElementById("log-found");
    this.form = document.getElementById("log-find");
    this.form.hidden = false;
    this.key = "";
    const { text, line, previous } = this.form.elements;
    text.addEventListener("input", () => this.#changed());
    text.addEventListener("keydown", (event) => this.#key(event));
    for (const toggle of this.#toggles) toggle.addEventListener("click", () => this.#toggled(toggle));
    previous.addEventListener("click", () => this.go(-1));
    this.form.addEventListener("submit", (event) => this.#submitted(event));
    line.addEventListener("keydown", (event) => event.key === "Enter" && this.#goToLine(event));
    view.whenUpdated(() => this.#highlight());
  }

  focus() {
    this.form.elements.text.focus();
    this.form.elements.text.select();
  }

  focusLine() {
    this.form.elements.line.focus();
    this.form.elements.line.select();
  }

  // Goes to the next match, or the previous one.
  async go(step) {
    const { value } = this.form.elements.text;
    if (!value) return;
    const key = JSON.stringify(this.#query(1));
    if (key !== this.key) await this.#begin(key, step);
    else await this.#move(step);
    this.#showStatus();
    this.#highlight();
    await this.#count();
  }

  // Goes on to the end of the log, for the number of all matches.
  async #count() {
    const { key } = this;
    while (this.key === key && this.more && this.found.length < COUNTED_MAX) {
      await this.#search();
      if (this.key === key) this.#showStatus();
    }
  }

  get #toggles() {
    return [this.form.elements.case, this.form.elements.regex];
  }

  #query(fromLine) {
    const query = { text: this.form.elements.text.value };
    for (const toggle of this.#toggles) query[toggle.name] = toggle.getAttribute("aria-pressed");
    return { ...query, from_line: fromLine };
  }

  // The first match at or after the line in view, or the last one before it.
  async #begin(key, step) {
    this.status.textContent = "Searching…";
    Object.assign(this, { key, found: [], more: false, searched: 0, error: "", at: -1 });
    await this.#search();
    if (!this.found.length) return;
    const here = this.view.at?.number ?? 1;
    const after = this.found.findIndex((line) => line >= here);
    const before = (after > 0 ? after : this.found.length) - 1;
    this.at = step > 0 ? Math.max(0, after) : before;
    this.view.select(this.found[this.at]);
  }

  async #move(step) {
    if (step > 0 && this.at === this.found.length - 1 && this.more) await this.#search();
    if (!this.found.length) return;
    this.at = (this.at + step + this.found.length) % this.found.length;
    this.view.select(this.found[this.at]);
  }

  // A search has a limit in time and number: the next one goes on after it, until there is a match to go to.
  async #search() {
    const { key } = this;
    const before = this.found.length;
    do {
      const query = new URLSearchParams(this.#query(this.searched + 1));
      const answer = await fetch(`${this.url}?${query}`).catch(() => null);
      const got = answer ? await answer.json() : { error: "The server does not answer. Try again." };
      if (key !== this.key || key !== JSON.stringify(this.#query(1))) return;
      if (!answer?.ok) {
        Object.assign(this, { error: got.error, more: false });
        return;
      }
      this.found.push(...got.lines);
      Object.assign(this, { more: got.more, searched: got.searched_lines });
    } while (this.more && this.found.length === before);
  }

  #changed() {
    this.status.textContent = "";
    this.key = "";
    this.#highlight();
  }

  #toggled(toggle) {
    toggle.setAttribute("aria-pressed", toggle.getAttribute("aria-pressed") !== "true");
    this.#changed();
    this.go(1);
  }

  #submitted(event) {
    event.preventDefault();
    this.form.sent = false; // app.js lets other forms be sent once
    this.go(1);
  }

  #key(event) {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      this.go(-1);
    }
    if (event.key === "Escape") this.view.root.focus();
  }

  #goToLine(event) {
    event.preventDefault();
    const number = Number(event.target.value.replace(/[^0-9]/g, ""));
    if (!number) return;
    this.view.select(number);
    this.view.root.focus({ preventScroll: true });
  }

  #showStatus() {
    const count = `${this.found.length.toLocaleString()}${this.more ? "+" : ""}`;
    const nothing = this.error || "Not found";
    this.status.textContent = this.found.length ? `${(this.at + 1).toLocaleString()} of ${count}` : nothing;
  }

  // Marks the matches in the lines that are elements, without changing these.
  #highlight() {
    if (!globalThis.Highlight) return;
    const pattern = this.key && !this.error && this.#pattern();
    CSS.highlights.delete("found");
    if (!pattern) return;
    const ranges = [...this.lines.querySelectorAll(".line > span")].flatMap((text) => matches(text, pattern));
    CSS.highlights.set("found", new Highlight(...ranges));
  }

  #pattern() {
    const { text, regex, case: matchCase } = this.form.elements;
    const isRegex = regex.getAttribute("aria-pressed") === "true";
    const flags = matchCase.getAttribute("aria-pressed") === "true" ? "g" : "gi";
    // Browsers have no limit for an expression that takes for ever: only simple ones are marked inside a line.
    if (isRegex && !/^[^()*+{}]*(?:[*+][^()*+{}]*)?$/.test(text.value)) return null;
    try {
      return new RegExp(isRegex ? text.value : text.value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), flags);
    } catch {
      return null;
    }
  }
}

function matches(element, pattern) {
  const text = element.textContent.slice(0, FAST_LINE_CHARS_MAX);
  const found = [...text.matchAll(pattern)].filter((match) => match[0]);
  return found.map((match) => rangeOf(element, match.index, match.index + match[0].length)).filter(Boolean);
}

// The range of some characters, which may be in several elements.
function rangeOf(element, start, end) {
  const range = new RangeOfCharacters();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let at = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    range.add(node, at, start, end);
    at += node.length;
  }
  return range.made();
}

class RangeOfCharacters {
  add(node, at, start, end) {
    if (start >= at && start < at + node.length) Object.assign(this, { startContainer: node, startOffset: start - at });
    if (end > at && end <= at + node.length) Object.assign(this, { endContainer: node, endOffset: end - at });
  }

  made() {
    return this.endContainer && this.startContainer && new StaticRange(this);
  }
}
