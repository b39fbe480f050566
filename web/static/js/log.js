// A step's log: one list of all its lines, of which only those in view are elements. New output comes in while the
// step runs; the reader who scrolls up stays where they are.
import { drawn, runs } from "./ansi.js";
import { copyAsWritten } from "./copy.js";
import { FoldedSource } from "./folds.js";
import { GroupToggles } from "./group_toggles.js";
import { addressOf, hashOf, keepPlace, keptPlace, linkedLines } from "./links.js";
import { LogSource, shownText } from "./log_source.js";
import { Sources } from "./sources.js";
import { StreamFilter } from "./stream_filter.js";
import { VirtualList } from "./virtual_list.js";

const KEEP_PLACE_MS = 300;
const NUMBER_DIGITS_MIN = 4;

export class LogView {
  constructor(root) {
    this.root = root;
    this.none = document.getElementById("log-none");
    this.note = document.getElementById("log-note");
    this.follow = document.getElementById("log-follow");
    this.source = new LogSource(root.dataset.log);
    this.folded = new FoldedSource(this.source);
    this.lines = document.getElementById("log-lines");
    this.selected = linkedLines() ?? this.#cause();
    this.work = Promise.resolve();
    this.listeners = [];
    copyAsWritten(this.lines);
    this.follow.addEventListener("click", () => this.list?.follow());
    this.lines.addEventListener("click", (event) => this.#clicked(event));
    addEventListener("hashchange", () => this.#showLinked());
  }

  // Called after each update of the list.
  whenUpdated(listener) {
    this.listeners.push(listener);
  }

  // Loads the newest lines, and shows what the address asks for, or where the reader was.
  load() {
    return this.#queue(async () => {
      await this.source.loadTail();
      if (this.list) this.list.clear();
      else this.#makeList();
      const place = keptPlace();
      if (place && !place.following) this.show(place.number, place.place);
      else if (!place && this.selected) this.show(this.selected.first);
      else this.list.follow();
      this.toggles.load();
    });
  }

  // Adds bytes that end at `end`, without those that are shown already.
  add(bytes, end) {
    if (!this.source.add(bytes, end)) {
      if (end > this.position) this.catchUp();
      return;
    }
    this.none.hidden = this.source.count > 0;
    this.list.soon();
  }

  // After the page was hidden: the newest lines, without all that came before them.
  catchUp() {
    return this.#queue(async () => {
      await this.source.catchUp();
      this.list.soon();
    });
  }

  get position() {
    return this.source.position;
  }

  get ended() {
    return this.source.complete && this.position >= this.source.size;
  }

  // Marks a line, which the address then names, and shows it.
  select(number) {
    this.#selectLines(number, number);
    this.show(number);
  }

  // Shows a line, also one that is folded away.
  show(number, place) {
    if (this.folded.reveal(number)) this.list?.clear();
    this.list?.show(this.folded.placeOf(number), place);
  }

  // The first line in view, and how far below the upper edge it begins.
  get at() {
    const at = this.list?.at;
    return at ? { ...at, number: this.folded.lineAt(at.number) } : null;
  }

  #selectLines(first, last) {
    this.selected = { first, last };
    history.replaceState(history.state, "", hashOf(this.root.dataset.slug, first, last));
    this.#mark();
  }

  // The line that says why the step failed: the log opens there, not at its end.
  #cause() {
    const number = Number(this.root.dataset.at);
    return number && !location.hash ? { first: number, last: number } : null;
  }

  #makeList() {
    this.list = new VirtualList(this.root, this.lines, this.folded, (line) => this.#draw(line));
    this.list.failed = (error) => (this.error = error.message);
    this.list.updated = () => this.#updated();
    this.sources = new Sources(this.root, this.lines);
    this.toggles = new GroupToggles(this);
    this.filter = new StreamFilter(this);
    this.none.hidden = this.source.count > 0;
  }

  #queue(job) {
    this.work = this.work.then(job, job);
    return this.work;
  }

  #updated() {
    const { count } = this.source;
    const digits = Math.max(NUMBER_DIGITS_MIN, String(count).length);
    if (digits !== this.digits) this.root.style.setProperty("--digits", String((this.digits = digits)));
    this.follow.hidden = this.list.following;
    this.note.textContent = this.error || (count ? `${count.toLocaleString()} line${count === 1 ? "" : "s"}` : "");
    this.error = "";
    this.sources.soon();
    this.timer ??= setTimeout(() => this.#keepPlace(), KEEP_PLACE_MS);
    for (const listener of this.listeners) listener();
  }

  #keepPlace() {
    this.timer = undefined;
    const place = this.list.following ? { following: true } : this.at;
    if (JSON.stringify(place) === JSON.stringify(keptPlace())) return;
    keepPlace(place);
  }

  #draw(line) {
    const { number } = line;
    const element = document.createElement("div");
    element.className = "line";
    element.id = `L${number}`;
    element.line = line;
    element.at = line.at;
    element.classList.toggle("marked", this.#isSelected(number));
    const link = document.createElement("a");
    link.href = addressOf(this.root, number);
    link.dataset.n = number;
    link.tabIndex = -1; // a million stops of the Tab key would be no help
    link.setAttribute("aria-label", `Line ${number}`);
    const text = document.createElement("span");
    text.append(...runs(shownText(line), line.style).map(drawn));
    element.append(link, ...this.toggles.of(line, text), text);
    return element;
  }

  // Draws what is visible now, with this line where it was.
  redraw(at) {
    const { following } = this.list;
    this.list.clear();
    if (following || !at) this.list.follow();
    else this.list.show(Math.max(1, this.folded.placeOf(at.number)), at.place);
  }

  // Draws the lines in view anew, each where it was.
  drawAgain() {
    for (const element of this.lines.querySelectorAll(".line")) element.replaceWith(this.#draw(element.line));
    this.list.soon();
  }

  #isSelected(number) {
    return Boolean(this.selected) && number >= this.selected.first && number <= this.selected.last;
  }

  // A click on a number selects the line, with Shift all lines from the selected one. Following goes on.
  #clicked(event) {
    const link = event.target.closest("a[data-n]");
    if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const number = Number(link.dataset.n);
    const from = event.shiftKey && this.selected ? this.selected.first : number;
    this.#selectLines(Math.min(from, number), Math.max(from, number));
  }

  #showLinked() {
    this.selected = linkedLines();
    this.#mark();
    if (this.selected) this.show(this.selected.first);
  }

  #mark() {
    // Without a list these are still the lines that the server rendered.
    for (const element of this.list ? this.lines.querySelectorAll(".line") : []) {
      element.classList.toggle("marked", this.#isSelected(element.line.number));
    }
  }
}
