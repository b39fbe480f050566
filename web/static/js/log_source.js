// The lines of a log: the newest ones as they come, and parts of the stored log on demand, of which a few are kept.
import { PLAIN, styleAfter } from "./ansi.js";
import { afterNewlines, displayed, keptOfUnfinished } from "./lines.js";

const TAIL_LINES = 2000;
const PART_LINES = 500;
const PARTS_MAX = 24;
const PARTS_CHARS_MAX = 16_000_000;
const RETRY_MS = 500;

export class LogSource {
  constructor(url) {
    this.url = url;
    this.reset({ offset: 0, line: 1, size: 0, complete: false });
  }

  reset(part) {
    this.parts = new Map(); // first line -> its lines, the least recently used first
    this.waiting = new Map(); // first line -> the request that is under way
    this.tail = []; // the newest lines that have ended
    this.tailFirst = part.line;
    this.decoder = new TextDecoder();
    this.rest = "";
    this.restAt = part.offset;
    this.style = PLAIN;
    this.position = part.offset;
    this.size = part.size;
    this.complete = part.complete;
  }

  // How many lines there are; an unfinished one counts.
  get count() {
    return this.tailFirst - 1 + this.tail.length + (this.rest === "" ? 0 : 1);
  }

  async loadTail() {
    const part = await this.#fetch(`last=${TAIL_LINES}`);
    this.reset(part);
    this.#append(part.data);
  }

  // As `loadTail`, but what is there stays where the newest lines continue it.
  async catchUp() {
    const part = await this.#fetch(`last=${TAIL_LINES}`);
    this.size = part.size;
    this.complete = part.complete;
    if (part.offset <= this.position) {
      this.add(part.data, part.offset + part.data.length);
    } else {
      this.reset(part);
      this.#append(part.data);
    }
  }

  // Adds bytes that end at `end`, without those that are there already. Returns whether there were new ones.
  add(bytes, end) {
    const start = end - bytes.length;
    if (end <= this.position || start > this.position) return false;
    this.#append(bytes.subarray(this.position - start));
    return true;
  }

  #append(bytes) {
    const starts = [this.restAt, ...afterNewlines(bytes, this.position)];
    this.position += bytes.length;
    const texts = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = keptOfUnfinished(texts.pop());
    this.restAt = starts.at(-1);
    for (const [index, text] of texts.entries()) {
      this.tail.push({ number: this.tailFirst + this.tail.length, at: starts[index], text, style: this.style });
      this.style = styleAfter(text, this.style);
    }
    if (this.tail.length > 2 * TAIL_LINES) {
      const surplus = this.tail.length - TAIL_LINES;
      this.tail.splice(0, surplus);
      this.tailFirst += surplus;
    }
    this.last = { number: this.count, at: this.restAt, text: this.rest, style: this.style };
  }

  // A line, or undefined while it is not loaded.
  line(number) {
    const unfinished = this.rest === "" ? undefined : this.last;
    if (number >= this.tailFirst) return this.tail[number - this.tailFirst] ?? unfinished;
    const first = number - ((number - 1) % PART_LINES);
    const part = this.parts.get(first);
    return part?.[number - first];
  }

  // Loads the lines from `first` to `last`, as far as they are not there. Resolves when there may be more of them.
  async need(first, last) {
    const wanted = [];
    for (let at = first - ((first - 1) % PART_LINES); at <= last && at < this.tailFirst; at += PART_LINES) {
      wanted.push(this.#part(at));
    }
    await Promise.all(wanted);
  }

  #part(first) {
    const known = this.parts.get(first);
    // A part that ended where the newest lines began misses what has left these since.
    if (known && (known.length === PART_LINES || first + known.length >= this.tailFirst)) {
      this.parts.delete(first);
      this.parts.set(first, known);
      return known;
    }
    if (!this.waiting.has(first)) {
      const parts = this.parts;
      const loading = this.#load(first).then((lines) => {
        if (parts === this.parts) this.#keep(first, lines);
      });
      this.waiting.set(first, loading.finally(() => this.waiting.delete(first)));
    }
    return this.waiting.get(first);
  }

  // Very long lines: an answer has a limit in bytes, so there may be several.
  async #load(first) {
    const lines = [];
    const count = Math.min(PART_LINES, this.tailFirst - first);
    while (lines.length < count) {
      const part = await this.#fetch(`line=${first + lines.length}&lines=${count - lines.length}`);
      const starts = [part.offset, ...afterNewlines(part.data, part.offset)];
      const texts = new TextDecoder().decode(part.data).split("\n");
      const ended = texts.slice(0, Math.max(1, texts.length - 1));
      if (!part.data.length) break; // not stored yet
      let style = PLAIN;
      for (const [index, text] of ended.entries()) {
        lines.push({ number: first + lines.length, at: starts[index], text: keptOfUnfinished(text), style });
        style = styleAfter(text, style);
      }
    }
    if (lines.length < count) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return lines;
  }

  #keep(first, lines) {
    // A part that reaches into what is not stored yet is loaded again.
    if (lines.length < Math.min(PART_LINES, this.tailFirst - first)) return;
    this.parts.set(first, lines);
    const size = (part) => part.reduce((sum, line) => sum + line.text.length, 0);
    let chars = [...this.parts.values()].reduce((sum, part) => sum + size(part), 0);
    for (const [oldest, part] of this.parts) {
      if (oldest === first || (this.parts.size <= PARTS_MAX && chars <= PARTS_CHARS_MAX)) break;
      this.parts.delete(oldest);
      chars -= size(part);
    }
  }

  async #fetch(query) {
    const response = await fetch(`${this.url}?${query}`);
    if (!response.ok) throw new Error((await response.json()).error);
    const number = (name) => Number(response.headers.get(name));
    return {
      data: new Uint8Array(await response.arrayBuffer()),
      offset: number("x-log-offset"),
      line: number("x-log-line"),
      size: number("x-log-size"),
      complete: response.headers.get("x-log-complete") === "true",
    };
  }
}

export const shownText = (line) => displayed(line.text);
