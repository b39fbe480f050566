// When each line was written, and to which output: the server's index has it about a second after the line is shown.

const DEBOUNCE_MS = 100;
const RETRY_MS = 1000;
const RETRY_MS_MAX = 30_000;
const STORAGE_KEY = "headway-times";
const clock = new Intl.DateTimeFormat([], {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hourCycle: "h23",
});

const day = new Intl.DateTimeFormat([], { dateStyle: "medium" });
const FROM = { stdout: "", stderr: ", stderr", note: ", from Headway" };

// Elements come and go with the view: the line itself keeps what is known.
function mark(element, source) {
  element.line.source = source;
  const time = clock.format(source.at_ms);
  const link = element.firstElementChild;
  element.dataset.stream = source.stream;
  link.dataset.time = time;
  link.title = `${day.format(source.at_ms)}, ${time}${FROM[source.stream]}`;
}

export class Sources {
  constructor(root, lines) {
    this.root = root;
    this.lines = lines;
    this.retryMs = RETRY_MS;
    this.#offerTimes(document.getElementById("log-times"));
  }

  // Marks the lines that are not marked yet. Debounced: many small writes make one request.
  soon(delay = DEBOUNCE_MS) {
    this.timer ??= setTimeout(() => this.#mark(), delay);
  }

  async #mark() {
    const unmarked = [...this.lines.querySelectorAll(".line:not([data-stream])")];
    for (const element of unmarked) {
      if (element.line.source) mark(element, element.line.source);
    }
    const unknown = unmarked.filter((element) => !element.line.source);
    const marked = unknown.length ? await this.#markFirst(unknown) : 0;
    this.retryMs = marked ? RETRY_MS : Math.min(this.retryMs * 2, RETRY_MS_MAX);
    this.timer = undefined;
    if (marked < unknown.length) this.soon(this.retryMs);
  }

  // Marks these lines from the first on; returns how many of them the index has.
  async #markFirst(unknown) {
    const first = unknown[0].at;
    const query = new URLSearchParams({ offset: first, max_bytes: unknown.at(-1).at - first + 1 });
    const answer = await fetch(`${this.root.dataset.log}/sources?${query}`).catch(() => null);
    if (!answer?.ok) return 0;
    const { end, sources } = await answer.json();
    const known = unknown.filter((line) => line.at < end);
    let index = 0;
    for (const line of known) {
      while (sources[index + 1]?.offset <= line.at) index += 1;
      mark(line, sources[index]);
    }
    return known.length;
  }

  #offerTimes(button) {
    const show = (on) => {
      this.root.classList.toggle("times", on);
      button.setAttribute("aria-pressed", on);
    };
    button.hidden = false;
    show(localStorage.getItem(STORAGE_KEY) === "on");
    button.addEventListener("click", () => {
      const on = !this.root.classList.contains("times");
      localStorage.setItem(STORAGE_KEY, on ? "on" : "off");
      show(on);
    });
  }
}
