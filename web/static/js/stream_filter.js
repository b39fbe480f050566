// Only what the step wrote to standard error: the server says which lines these are, all others are left out.

const AGAIN_MS = 1000;
const PAUSE_FACTOR = 10; // a log that takes long to look through is looked at less often

export class StreamFilter {
  constructor(view) {
    this.view = view;
    this.button = document.getElementById("log-only");
    this.button.hidden = false;
    document.getElementById("log-stderr").hidden = true; // the file of it is for pages without scripts
    this.button.addEventListener("click", () => this.#toggle());
    view.whenUpdated(() => this.#updated());
  }

  get on() {
    return this.view.folded.left !== null;
  }

  async #toggle() {
    if (!this.on) return this.#load();
    const { at } = this.view;
    this.view.folded.only(null);
    this.view.redraw(at);
  }

  async #load() {
    this.loading = true;
    const begun = performance.now();
    const answer = await fetch(`${this.view.root.dataset.log}/lines?stream=stderr`).catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    this.loading = false;
    this.pauseMs = Math.max(AGAIN_MS, PAUSE_FACTOR * (performance.now() - begun));
    if (!found) return;
    const { at } = this.view;
    this.searched = found.more ? Infinity : found.searched_lines; // what is too long to look at stays visible
    this.view.folded.only(found.ranges, found.searched_lines);
    this.view.redraw(at);
  }

  // A line that was left out may have been asked for. What a running step has written since is looked at again.
  #updated() {
    this.button.setAttribute("aria-pressed", this.on);
    if (!this.on || this.loading || this.view.source.count <= this.searched) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.on) this.#load();
    }, this.pauseMs);
  }
}
