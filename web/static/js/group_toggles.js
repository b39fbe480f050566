// The groups of a log: a button at the line that names each folds it; one button folds all.
import { duration } from "./durations.js";

const SHOWN_MS_MIN = 100;
const MARKER = /^(?:::group::|##\[group\]|(?:---|\+\+\+|~~~) )/;
const END = /^(?:::endgroup::|##\[endgroup\])/;

export class GroupToggles {
  constructor(view) {
    this.view = view;
    this.folded = view.folded;
    this.all = document.getElementById("log-fold");
    this.all.addEventListener("click", () => this.#toggleAll());
  }

  // Asks the server for the groups; those that are folded stay so.
  async load() {
    const answer = await fetch(`${this.view.root.dataset.log}/groups`).catch(() => null);
    if (!answer?.ok) return;
    this.folded.set((await answer.json()).groups);
    this.all.hidden = !this.folded.groups.size;
    if (this.folded.closed.size) this.view.redraw(this.view.at);
    else if (this.folded.took.size) this.view.drawAgain();
  }

  // What stands before the text of a line. Behind it stands how long what begins there took.
  of(line, text) {
    const buttons = this.#folding(line, text);
    const took = this.folded.took.get(line.number);
    if (took >= SHOWN_MS_MIN) text.append(this.#took(took));
    return buttons;
  }

  #folding(line, text) {
    const group = this.folded.groups.get(line.number);
    if (!group) {
      if (END.test(line.text)) text.className = "group-end";
      return [];
    }
    const open = !this.folded.closed.has(line.number);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fold";
    button.textContent = open ? "▾" : "▸";
    button.setAttribute("aria-expanded", open);
    const count = group.last - group.line;
    button.setAttribute("aria-label", `${group.title || "Group"}, ${count} line${count === 1 ? "" : "s"}`);
    button.addEventListener("click", () => this.#toggle(line.number));
    text.className = "group-title";
    if (MARKER.test(line.text)) text.replaceChildren(group.title);
    if (!open) text.append(` (${count.toLocaleString()} line${count === 1 ? "" : "s"})`);
    return [button];
  }

  // Not a part of the line: it is neither selected nor copied with it.
  #took(milliseconds) {
    const took = document.createElement("span");
    took.className = "took";
    took.dataset.took = duration(milliseconds);
    return took;
  }

  #toggle(number) {
    const place = this.#placeInView(number);
    this.folded.toggle(number);
    this.view.redraw({ number, place });
    requestAnimationFrame(() => requestAnimationFrame(() => this.#button(number)?.focus({ preventScroll: true })));
  }

  #element(number) {
    return this.view.lines.querySelector(`#L${number}`);
  }

  #button(number) {
    return this.#element(number)?.querySelector(".fold");
  }

  #placeInView(number) {
    const top = this.view.root.getBoundingClientRect().top;
    return Math.round(this.#element(number).getBoundingClientRect().top - top);
  }

  // The line that says why the step failed, and the last one, stay visible.
  #toggleAll() {
    const fold = this.all.getAttribute("aria-pressed") !== "true";
    this.all.setAttribute("aria-pressed", fold);
    const { at, selected, source } = this.view;
    if (fold) this.folded.closeAll([source.count, ...(selected ? [selected.first, selected.last] : [])]);
    else this.folded.openAll();
    this.view.redraw(selected ? { number: selected.first } : at);
  }
}
