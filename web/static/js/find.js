// Finds words in the whole of a log, also in lines that are not loaded: the server looks, the page goes there.

export class Find {
  constructor(root) {
    this.url = `${root.dataset.log}/search`;
    this.input = document.getElementById("log-find");
    this.told = document.getElementById("log-found");
    this.words = "";
    this.input.hidden = false;
    this.input.addEventListener("input", () => (this.told.textContent = ""));
    this.input.addEventListener("keydown", (event) => event.key === "Enter" && this.#next(event.shiftKey ? -1 : 1));
  }

  async #next(step) {
    const words = this.input.value;
    if (!words) return;
    if (words !== this.words) {
      this.told.textContent = "Looking…";
      const found = await this.#search(words);
      if (words !== this.input.value) return;
      Object.assign(this, found, { words, at: step > 0 ? -1 : 0 });
    }
    if (this.lines.length) {
      this.at = (this.at + step + this.lines.length) % this.lines.length;
      location.hash = `#L${this.lines[this.at]}`;
    }
    this.#tell();
  }

  async #search(words) {
    const answer = await fetch(`${this.url}?${new URLSearchParams({ text: words })}`);
    const found = await answer.json();
    return answer.ok ? { ...found, error: "" } : { lines: [], more: false, error: found.error };
  }

  #tell() {
    const count = `${this.lines.length.toLocaleString()}${this.more ? "+" : ""}`;
    const nothing = this.error || "Not found";
    this.told.textContent = this.lines.length ? `${(this.at + 1).toLocaleString()} of ${count}` : nothing;
  }
}
