// Keys of the log, and its toggles, which are remembered. Ctrl+F finds in the whole log; pressed again, in the page.

const STORAGE_KEY = "headway-no-wrap";

function types(element) {
  return element.closest("input, textarea, select, [contenteditable]");
}

export function addKeys(find, errors) {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f" && !event.shiftKey && !event.altKey) {
      if (find.form.contains(document.activeElement)) return;
      event.preventDefault();
      find.focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || types(event.target)) return;
    const action = { g: () => find.focusLine(), n: () => errors.go(1), p: () => errors.go(-1) }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function offerWrap(root, list) {
  const button = document.getElementById("log-wrap");
  const show = (on) => {
    root.classList.toggle("no-wrap", !on);
    button.setAttribute("aria-pressed", on);
  };
  button.hidden = false;
  show(localStorage.getItem(STORAGE_KEY) !== "on");
  button.addEventListener("click", () => {
    const on = root.classList.contains("no-wrap");
    localStorage.setItem(STORAGE_KEY, on ? "off" : "on");
    const at = list()?.following ? null : list()?.at;
    show(on);
    if (at) list().show(at.number, at.place);
  });
}

// The lines in which the server found problems: the button, `n` and `p` go from one to the next.
export class Errors {
  constructor(view) {
    this.view = view;
    this.button = document.getElementById("log-errors");
    this.button.addEventListener("click", () => this.go(1));
    document.addEventListener("htmx:after:swap", () => this.#offer());
    this.#offer();
  }

  get lines() {
    const { problems } = document.getElementById("step-head").dataset;
    return problems.split(" ").filter(Boolean).map(Number).sort((a, b) => a - b);
  }

  #offer() {
    this.button.hidden = !this.lines.length;
  }

  go(step) {
    const { lines } = this;
    if (!lines.length) return;
    const at = this.view.selected?.first ?? (step > 0 ? 0 : Infinity);
    const next = step > 0 ? lines.find((line) => line > at) : lines.findLast((line) => line < at);
    this.view.select(next ?? (step > 0 ? lines[0] : lines.at(-1)));
  }
}
