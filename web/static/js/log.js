// A step's log: the newest lines first, older ones on demand, and what comes while the step writes.
import { AnsiUp } from "../vendor/ansi_up.js";

const TAIL_LINES = 2000;
const BLOCK_LINES = 500; // lines that the browser lays out, or leaves out, as one
const BLOCKS_MAX = 100; // while following; older ones can be loaded again
const SLICE_LINES = 4000; // lines rendered before the page may react again
const LINE_CHARS_MAX = 10_000;
const PART_BYTES = 512 * 1024;
const AT_BOTTOM_PX = 48;
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

const breathe = () => new Promise((resolve) => setTimeout(resolve));

// What a terminal would show of a line that was overwritten with carriage returns.
export function settled(line) {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf("\r") + 1);
}

function clipped(text) {
  if (text.length <= LINE_CHARS_MAX) return text;
  return `${text.slice(0, LINE_CHARS_MAX)} … (${text.length - LINE_CHARS_MAX} more characters are in the raw log)`;
}

function newAnsi() {
  const ansi = new AnsiUp();
  ansi.use_classes = true;
  return ansi;
}

function lineElement(number) {
  const line = document.createElement("div");
  line.className = "line";
  line.id = `L${number}`;
  const link = document.createElement("a");
  link.href = `#L${number}`;
  link.dataset.n = number;
  link.setAttribute("aria-label", `Line ${number}`);
  line.append(link, document.createElement("span"));
  return line;
}

// The page's policy forbids style attributes in markup, not styles set by a script.
function paint(span, html) {
  span.innerHTML = html.replaceAll(' style="', ' data-style="');
  for (const part of span.querySelectorAll("[data-style]")) {
    part.style.cssText = part.dataset.style;
    part.removeAttribute("data-style");
  }
}

export class LogView {
  constructor(root) {
    this.root = root;
    this.lines = document.getElementById("log-lines");
    this.none = document.getElementById("log-none");
    this.note = document.getElementById("log-note");
    this.earlier = document.getElementById("log-earlier");
    this.later = document.getElementById("log-later");
    this.follow = document.getElementById("log-follow");
    this.work = Promise.resolve();
    this.following = true;
    this.scrollTop = 0;
    new ResizeObserver(() => this.following && this.#jumpToEnd()).observe(this.lines);
    root.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.follow.addEventListener("click", () => this.#jumpToEnd());
    this.earlier.addEventListener("click", () => this.#queue(() => this.#loadEarlier()));
    this.later.addEventListener("click", () => this.#queue(() => this.#loadLater()));
    addEventListener("hashchange", () => this.#mark(true));
  }

  // Loads the part that the address asks for. Resolves when it is shown; then `position` and `atEnd` are right.
  load() {
    return this.#queue(async () => {
      const wanted = this.#wantedLine();
      let part = await this.#fetch(`last=${TAIL_LINES}`);
      if (wanted && wanted < part.line) {
        part = await this.#fetch(`line=${Math.max(1, wanted - BLOCK_LINES)}&lines=${TAIL_LINES}`);
      }
      this.#reset(part);
      await this.#append(part.data);
      this.atEnd = !wanted || this.position >= part.size;
      this.#buttons();
      if (wanted) this.#mark(true);
      else this.#jumpToEnd();
    });
  }

  // Adds bytes that end at `end`; what is there already is left out.
  add(bytes, end) {
    return this.#queue(async () => {
      const start = end - bytes.length;
      if (end <= this.position) return;
      await this.#append(bytes.subarray(Math.max(0, this.position - start)));
      this.#buttons();
    });
  }

  #queue(job) {
    this.work = this.work.then(job, job);
    return this.work;
  }

  async #fetch(query) {
    const response = await fetch(`${this.root.dataset.log}?${query}`);
    if (!response.ok) throw new Error(`The log could not be loaded (${response.status}).`);
    const number = (name) => Number(response.headers.get(name));
    return {
      data: new Uint8Array(await response.arrayBuffer()),
      offset: number("x-log-offset"),
      line: number("x-log-line"),
      size: number("x-log-size"),
      complete: response.headers.get("x-log-complete") === "true",
    };
  }

  #reset(part) {
    this.lines.replaceChildren();
    this.decoder = new TextDecoder();
    this.ansi = newAnsi();
    this.rest = "";
    this.restLine = null;
    this.firstLine = part.line;
    this.nextLine = part.line;
    this.position = part.offset;
    this.size = part.size;
    this.complete = part.complete;
  }

  async #append(bytes) {
    this.position += bytes.length;
    const pieces = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = pieces.pop();
    for (let done = 0; done < pieces.length; done += SLICE_LINES) {
      if (done) await breathe();
      this.#render(pieces.slice(done, done + SLICE_LINES));
    }
    this.#renderRest();
    this.none.hidden = this.nextLine > this.firstLine || this.rest !== "";
    if (this.following) this.#jumpToEnd();
  }

  #render(pieces) {
    this.restLine?.remove();
    this.restLine = null;
    let block = this.lines.lastElementChild;
    for (const piece of pieces) {
      if (!block || block.childElementCount >= BLOCK_LINES) {
        block = document.createElement("div");
        block.className = "block";
        this.lines.append(block);
      }
      const line = lineElement(this.nextLine++);
      paint(line.lastChild, this.ansi.ansi_to_html(clipped(settled(piece))));
      block.append(line);
    }
    while (this.following && this.lines.childElementCount > BLOCKS_MAX) {
      this.firstLine += this.lines.firstElementChild.childElementCount;
      this.lines.firstElementChild.remove();
    }
  }

  // The last line while it has no end yet: without colours, for those may change until it has.
  #renderRest() {
    if (this.rest === "") return;
    if (!this.restLine) {
      this.restLine = lineElement(this.nextLine);
      const last = this.lines.lastElementChild;
      const block = last ?? document.createElement("div");
      if (!last) {
        block.className = "block";
        this.lines.append(block);
      }
      block.append(this.restLine);
    }
    this.restLine.lastChild.textContent = clipped(settled(this.rest.replace(ESCAPES, "")));
  }

  async #loadEarlier() {
    let count = Math.min(TAIL_LINES, this.firstLine - 1);
    let pieces = [];
    while (count > 0) {
      const part = await this.#fetch(`line=${this.firstLine - count}&lines=${count}`);
      pieces = new TextDecoder().decode(part.data).split("\n");
      if (pieces.at(-1) === "") pieces.pop();
      // Very long lines: a part has a limit in bytes, so ask for fewer of them.
      if (pieces.length >= count || count === 1) break;
      count = Math.max(1, Math.floor(count / 4));
    }
    const ansi = newAnsi();
    const blocks = [];
    pieces.slice(0, count).forEach((piece, index) => {
      if (index % BLOCK_LINES === 0) {
        blocks.push(document.createElement("div"));
        blocks.at(-1).className = "block";
      }
      const line = lineElement(this.firstLine - count + index);
      paint(line.lastChild, ansi.ansi_to_html(clipped(settled(piece))));
      blocks.at(-1).append(line);
    });
    const fromBottom = this.root.scrollHeight - this.root.scrollTop;
    this.following = false;
    this.lines.prepend(...blocks);
    this.firstLine -= count;
    this.root.scrollTop = this.root.scrollHeight - fromBottom;
    this.#buttons();
  }

  async #loadLater() {
    const part = await this.#fetch(`offset=${this.position}&max_bytes=${PART_BYTES}`);
    this.size = part.size;
    this.complete = part.complete;
    await this.#append(part.data);
    this.atEnd = this.position >= part.size;
    this.#buttons();
    if (this.atEnd) this.root.dispatchEvent(new CustomEvent("log-at-end"));
  }

  #buttons() {
    this.earlier.hidden = this.firstLine <= 1;
    this.later.hidden = this.atEnd;
    this.follow.hidden = this.following || !this.atEnd;
    this.note.textContent = this.firstLine > 1 ? `From line ${this.firstLine.toLocaleString()}` : "";
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    const up = scrollTop < this.scrollTop;
    this.scrollTop = scrollTop;
    // Lines that are added or laid out move the end, but only a reader moves the view up.
    if (scrollHeight - scrollTop - clientHeight < AT_BOTTOM_PX) this.following = this.atEnd;
    else if (up) this.following = false;
    this.follow.hidden = this.following || !this.atEnd;
  }

  #jumpToEnd() {
    this.following = true;
    this.follow.hidden = true;
    this.root.scrollTop = this.root.scrollHeight;
    this.scrollTop = this.root.scrollTop;
  }

  #wantedLine() {
    return Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
  }

  #mark(scroll) {
    this.lines.querySelector(".marked")?.classList.remove("marked");
    const line = this.lines.querySelector(`#L${this.#wantedLine()}`);
    if (!line) return;
    line.classList.add("marked");
    this.following = false;
    if (scroll) line.scrollIntoView({ block: "center" });
    this.#buttons();
  }
}
