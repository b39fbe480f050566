// One list for a log of any length: only the lines around the view are elements. Lines may have any height.
// The elements stand in a window, `top` pixels below the list's begin. While the reader scrolls a little, the window
// grows on that side and shrinks on the other. A larger move, by the scroll bar or a key, fills it anew: the place of
// the scroll bar says which line. Browsers limit the height of an element, so a long list has less than its lines need.
import { indexAt, removeElements, selectsIn } from "./list_window.js";

const HEIGHT_PX_MAX = 8_000_000;
const STEP_LINES = 60; // added at a time
const SPARE_LINES = 150; // kept beside the view
const SELECTED_LINES_MAX = 5000; // kept while the reader selects text
const AT_END_PX = 48;
const ROUNDING_PX = 2;
const KEYS_UP = ["PageUp", "ArrowUp"];
const KEYS = [...KEYS_UP, "PageDown", "ArrowDown"];
const RETRY_MS = 2000;

export class VirtualList {
  // `source`: count, line(number), need(first, last). `draw(line)` returns an element.
  constructor(scroller, canvas, source, draw) {
    Object.assign(this, { scroller, canvas, source, draw });
    this.window = document.createElement("div");
    this.window.className = "window";
    this.canvas.replaceChildren(this.window);
    Object.assign(this, { following: true, rowPx: 20 });
    this.clear();
    new ResizeObserver(() => this.soon()).observe(scroller);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A move up begins slowly: it is known before the first pixel, or new lines would end it.
    scroller.addEventListener("wheel", ({ deltaY }) => this.#leave(deltaY < 0), { passive: true });
    scroller.addEventListener("pointerdown", () => this.#leave(false), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  clear() {
    this.window.replaceChildren();
    this.first = this.next = 1; // the window's lines: from first, before next
    Object.assign(this, { top: 0, wanted: null });
    this.soon();
  }

  // Many changes make one update: at the next frame.
  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.#update();
      this.updated?.();
    });
  }

  follow() {
    this.following = true;
    this.wanted = null;
    this.soon();
  }

  // Shows a line `place` pixels below the upper edge of the view; in the middle without a place.
  show(number, place) {
    this.following = false;
    this.wanted = { number: Math.max(1, Math.min(number, this.source.count)), place };
    this.soon();
  }

  // The first line in view, and how far below the upper edge it begins.
  get at() {
    const index = this.#index(this.#position);
    const element = this.window.children[index];
    if (!element) return null;
    return { number: this.first + index, place: Math.round(this.top + element.offsetTop - this.#position) };
  }

  element(number) {
    return number >= this.first && number < this.next ? this.window.children[number - this.first] : undefined;
  }

  #index(position) {
    return indexAt(this.window, position - this.top);
  }

  #key(event) {
    if (KEYS.includes(event.key)) this.#leave(KEYS_UP.includes(event.key));
    if (!["Home", "End"].includes(event.key) || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    if (event.key === "End") this.follow();
    else this.show(1, 0);
  }

  // The reader moves: what was to be shown when it is loaded is not wanted any more.
  #leave(up) {
    this.wanted = null;
    if (up && this.scroller.scrollTop > 0) this.following = false;
  }

  get #position() {
    return this.scroller.scrollTop - this.canvas.offsetTop;
  }
  set #position(value) {
    this.scroller.scrollTop = value + this.canvas.offsetTop;
    this.scrollTop = this.scroller.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const moved = scrollTop - (this.scrollTop ?? 0);
    if (!moved) return;
    this.scrollTop = scrollTop;
    if (this.wanted) return; // layout has moved the view, not the reader
    const left = scrollHeight - scrollTop - clientHeight;
    // Where the view grows, browsers scroll up to stay at the end; other moves up are the reader's.
    if (moved < 0 && left > ROUNDING_PX) this.following = false;
    else if (left < AT_END_PX) this.following ||= this.next > this.source.count;
    this.soon();
  }

  #update() {
    if (!this.source.count) return this.#setHeight();
    this.#redraw();
    if (this.following) return this.#showEnd();
    if (this.wanted) return this.#showWanted();
    if (!this.#covers() && !this.#fillAt(this.#position)) return this.#setHeight();
    this.#extend();
    this.#trim();
    return this.#settle();
  }

  #covers() {
    const at = this.#position;
    const reached = this.top + this.window.offsetHeight >= at && this.top <= at + this.scroller.clientHeight;
    return this.next > this.first && reached;
  }

  // Lines whose text has changed since they were drawn: the last one, while it grows.
  #redraw() {
    const last = this.window.lastElementChild;
    const line = last && this.source.line(this.next - 1);
    if (line && last.line !== line && (last.line.text !== line.text || last.line.at !== line.at)) {
      last.replaceWith(this.draw(line));
    }
  }

  // Elements of the lines from `first` to `last`, as far as they are loaded; the rest is asked for.
  #drawn(first, last, backwards) {
    const elements = [];
    const count = Math.max(0, last - first + 1);
    for (let index = 0; index < count; index += 1) {
      const line = this.source.line(backwards ? last - index : first + index);
      if (!line) {
        this.#need(first, last);
        break;
      }
      elements.push(this.draw(line));
    }
    return backwards ? elements.reverse() : elements;
  }

  // One request at a time: a scroll bar that is dragged passes many places. After each the view is looked at again.
  #need(first, last) {
    if (this.loading) return;
    this.loading = true;
    const retry = (error) => new Promise((resolve) => setTimeout(resolve, RETRY_MS, this.failed?.(error)));
    this.source.need(first, last).catch(retry).then(() => {
      this.loading = false;
      this.soon();
    });
  }

  #fill(first, last) {
    const elements = this.#drawn(first, last);
    if (elements.length < last - first + 1) return false;
    this.window.replaceChildren(...elements);
    this.first = first;
    this.next = last + 1;
    this.rowPx = Math.max(1, this.window.offsetHeight / elements.length);
    return true;
  }

  #around(number) {
    return [Math.max(1, number - SPARE_LINES), Math.min(this.source.count, number + SPARE_LINES)];
  }

  // The scroll bar was moved far: its place says which line is at the same place of the view.
  #fillAt(position) {
    const { clientHeight } = this.scroller;
    const part = Math.max(0, Math.min(1, position / Math.max(1, this.canvas.offsetHeight - clientHeight)));
    const number = 1 + Math.round(part * (this.source.count - 1));
    if (!this.#fill(...this.#around(number))) return false;
    const element = this.element(number);
    this.top = position + part * (clientHeight - element.offsetHeight) - element.offsetTop;
    return true;
  }

  #showWanted() {
    const { number, place } = this.wanted;
    if (!this.#fill(...this.#around(number))) return;
    this.wanted = null;
    this.top = this.#ideal(this.first);
    this.#setHeight();
    const element = this.element(number);
    this.#position = this.top + element.offsetTop - (place ?? (this.scroller.clientHeight - element.offsetHeight) / 2);
    this.#settle();
  }

  #showEnd() {
    const { count } = this.source;
    const first = Math.max(1, count - Math.ceil(this.scroller.clientHeight / 12) - STEP_LINES);
    if (first > this.next || first < this.first) {
      if (!this.#fill(first, count)) return;
    } else {
      this.window.append(...this.#drawn(this.next, count));
      this.next = this.first + this.window.childElementCount;
      this.#dropBefore(first);
    }
    this.top = this.#ideal(this.first);
    this.#setHeight();
    this.#position = this.canvas.offsetHeight;
  }

  // Where a line would be if all had the same height.
  #ideal(number) {
    const height = Math.min(HEIGHT_PX_MAX, this.source.count * this.rowPx);
    return Math.round(((number - 1) / Math.max(1, this.source.count)) * height);
  }

  #extend() {
    const spare = this.scroller.clientHeight;
    for (let tries = 0; tries < 6; tries += 1) {
      const before = this.first > 1 && this.top > this.#position - spare;
      const after = this.next <= this.source.count && this.bottom < this.#position + 2 * spare;
      if (!(before && this.#addBefore()) && !(after && this.#addAfter())) return;
    }
  }

  get bottom() {
    return this.top + this.window.offsetHeight;
  }

  #addBefore() {
    const elements = this.#drawn(Math.max(1, this.first - STEP_LINES), this.first - 1, true);
    const height = this.window.offsetHeight;
    this.window.prepend(...elements);
    this.first -= elements.length;
    this.top -= this.window.offsetHeight - height;
    return elements.length > 0;
  }

  #addAfter() {
    const elements = this.#drawn(this.next, Math.min(this.source.count, this.next + STEP_LINES - 1));
    this.window.append(...elements);
    this.next += elements.length;
    return elements.length > 0;
  }

  #linesMax() {
    return selectsIn(this.window) ? SELECTED_LINES_MAX : 0;
  }

  #dropBefore(first) {
    if (first <= this.first || this.next - this.first <= this.#linesMax()) return;
    removeElements(this.window, 0, first - this.first);
    this.first = first;
  }

  #trim() {
    if (this.next - this.first <= this.#linesMax()) return;
    const first = this.first + this.#index(this.#position) - SPARE_LINES;
    const next = this.first + this.#index(this.#position + this.scroller.clientHeight) + SPARE_LINES;
    if (next < this.next) {
      removeElements(this.window, next - this.first, this.window.childElementCount);
      this.next = next;
    }
    if (first > this.first) {
      const height = this.window.offsetHeight;
      this.#dropBefore(first);
      this.top += height - this.window.offsetHeight;
    }
  }

  // Moves window and view together where the window would not fit: at both ends of the list.
  #settle() {
    const { first, next, source } = this;
    const spare = 2 * this.scroller.clientHeight;
    const room = this.canvas.offsetHeight - this.bottom;
    const begins = first === 1 ? this.top !== 0 : this.top < spare;
    const ends = next <= source.count && room < spare && this.#ideal(source.count) >= HEIGHT_PX_MAX / 2;
    if (!begins && !ends) return this.#setHeight();
    const place = this.#position - this.top;
    this.top = this.#ideal(first);
    this.#setHeight();
    this.#position = this.top + place;
  }

  #setHeight() {
    const { count } = this.source;
    const left = Math.max(0, count - this.next + 1) * this.rowPx;
    const bottom = this.bottom;
    const height = this.next > count ? bottom : Math.max(bottom, Math.min(HEIGHT_PX_MAX, bottom + left));
    this.window.style.top = `${this.top}px`;
    this.canvas.style.height = `${Math.ceil(height)}px`;
    if (this.scrollTop !== undefined) this.scrollTop = this.scroller.scrollTop;
  }
}
