// When each line came, and from which of its step's outputs: the server's index knows, a second after the line is shown.

const SOON_MS = 100;
const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 30_000;
const KEPT_AS = "headway-times";
const clock = new Intl.DateTimeFormat([], {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hourCycle: "h23",
});

const day = new Intl.DateTimeFormat([], { dateStyle: "medium" });
const FROM = { stdout: "", stderr: ", stderr", note: ", said by Headway" };

function mark(line, source) {
  const time = clock.format(source.at_ms);
  const link = line.firstElementChild;
  line.dataset.stream = source.stream;
  link.dataset.time = time;
  link.title = `${day.format(source.at_ms)}, ${time}${FROM[source.stream]}`;
}

export class Sources {
  constructor(root, lines) {
    this.root = root;
    this.lines = lines;
    this.again = AGAIN_MS;
    this.#offerTimes(document.getElementById("log-times"));
  }

  // Marks lines that are not marked yet. Many small writes make one request.
  soon(delay = SOON_MS) {
    this.timer ??= setTimeout(() => this.#mark(), delay);
  }

  async #mark() {
    const unknown = [...this.lines.querySelectorAll(".line:not([data-stream])")];
    const marked = unknown.length ? await this.#markFirst(unknown) : 0;
    this.again = marked ? AGAIN_MS : Math.min(this.again * 2, AGAIN_MS_MAX);
    this.timer = undefined;
    if (marked < unknown.length) this.soon(this.again);
  }

  // How many of these lines, from the first on, the index knew.
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
    show(localStorage.getItem(KEPT_AS) === "on");
    button.addEventListener("click", () => {
      const on = !this.root.classList.contains("times");
      localStorage.setItem(KEPT_AS, on ? "on" : "off");
      show(on);
    });
  }
}
