// Search in a whole log, also in lines that are not loaded: the server searches, the page moves to the line.

export class Find {
  constructor(root) {
    this.url = `${root.dataset.log}/search`;
    this.input = document.getElementById("log-find");
    this.status = document.getElementById("log-found");
    this.text = "";
    this.input.hidden = false;
    this.input.addEventListener("input", () => (this.status.textContent = ""));
    this.input.addEventListener("keydown", (event) => event.key === "Enter" && this.#next(event.shiftKey ? -1 : 1));
  }

  async #next(step) {
    const text = this.input.value;
    if (!text) return;
    if (text !== this.text) {
      this.status.textContent = "Searching…";
      const found = await this.#search(text);
      if (text !== this.input.value) return;
      Object.assign(this, found, { text, at: step > 0 ? -1 : 0 });
    }
    if (this.lines.length) {
      this.at = (this.at + step + this.lines.length) % this.lines.length;
      location.hash = `#L${this.lines[this.at]}`;
    }
    this.#showStatus();
  }

  async #search(text) {
    const answer = await fetch(`${this.url}?${new URLSearchParams({ text })}`);
    const found = await answer.json();
    return answer.ok ? { ...found, error: "" } : { lines: [], more: false, error: found.error };
  }

  #showStatus() {
    const count = `${this.lines.length.toLocaleString()}${this.more ? "+" : ""}`;
    const nothing = this.error || "Not found";
    this.status.textContent = this.lines.length ? `${(this.at + 1).toLocaleString()} of ${count}` : nothing;
  }
}
