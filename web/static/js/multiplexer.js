// Follows what several pages follow over one connection: browsers allow six to a server, over HTTP/1.1.
// Runs in a SharedWorker, in the page that was elected, or in a page for itself (see follow.js).

const SUBJECTS_MAX = 50; // the server's limit for one connection
const GATHER_MS = 20;
const RETRY_MS = 1000;
const RETRY_MS_MAX = 30_000;
const SILENT_MS_MAX = 60_000; // pages that follow something report every 20 s
const KINDS = ["log", "changed", "restart", "end", "gone", "lost"];
const FINAL = ["restart", "end", "gone"];

export class Multiplexer {
  #members = new Map(); // page -> { reported, follows: Map(name -> { seen, offset }) }
  #open = new Map(); // name -> the version that the server reported last, or null: what the connection follows
  #retryMs = RETRY_MS;
  positions = new Map(); // name -> up to which byte the connection has sent

  constructor(deliver) {
    this.deliver = deliver;
    this.sweeper = setInterval(() => this.#sweep(), SILENT_MS_MAX / 2);
  }

  // All that a page follows now: [{ name, seen, offset }]. Idempotent. A page that is hidden follows nothing.
  set(member, list) {
    const before = this.#members.get(member)?.follows;
    const follows = new Map();
    for (const { name, seen, offset } of list) {
      const known = before?.get(name);
      follows.set(name, { seen, offset: offset ?? 0, sent: known?.sent }); // a page knows best what it has
    }
    this.#members.set(member, { reported: Date.now(), follows });
    if (!list.length) this.#members.delete(member);
    for (const [name, state] of follows) this.#catchUp(member, name, state);
    if (this.#differs()) this.#reopen(GATHER_MS);
  }

  close() {
    clearInterval(this.sweeper);
    clearTimeout(this.timer);
    this.#members.clear();
    this.source?.close();
  }

  // A page that came later may have been rendered before the last change that the connection reported.
  #catchUp(member, name, state) {
    const version = this.#open.get(name);
    if (version && version !== state.seen && version !== state.sent) {
      state.sent = version;
      this.deliver(member, { name, kind: "changed", data: version });
    }
  }

  // What all pages together follow: the least offset, because a page skips the bytes that it has.
  #wanted() {
    const wanted = new Map();
    for (const { follows } of this.#members.values()) {
      for (const [name, { seen, offset }] of follows) {
        const other = wanted.get(name);
        const version = this.#open.get(name) ?? (other && other.seen !== seen ? "" : seen);
        wanted.set(name, { seen: version, offset: Math.min(offset, other?.offset ?? Infinity) });
      }
    }
    return new Map([...wanted].slice(-SUBJECTS_MAX));
  }

  #differs() {
    const wanted = this.#wanted();
    if (wanted.size !== this.#open.size) return true;
    return [...wanted].some(([name, { offset }]) => !this.#open.has(name) || offset < (this.positions.get(name) ?? 0));
  }

  #reopen(delayMs) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#connect(), delayMs);
  }

  // The next connection begins where the last one ended: no byte is missing, and none comes twice.
  #connect() {
    this.source?.close();
    const wanted = this.#wanted();
    const versions = this.#open;
    this.#open = new Map([...wanted.keys()].map((name) => [name, versions.get(name) ?? null]));
    this.positions = new Map([...wanted].map(([name, { offset }]) => [name, offset]));
    if (!wanted.size) return;
    const query = new URLSearchParams();
    for (const [name, { seen, offset }] of wanted) {
      query.append("follow", `${name}@${seen}${name.startsWith("step:") ? `+${offset}` : ""}`);
    }
    const source = new EventSource(`/api/events?${query}`);
    this.source = source;
    // A connection that was there and was cut, as by a change of networks, says nothing of the server.
    source.addEventListener("open", () => (this.#retryMs = RETRY_MS));
    source.addEventListener("error", () => this.#failed(source));
    for (const name of wanted.keys()) {
      for (const kind of KINDS) {
        source.addEventListener(`${name} ${kind}`, (event) => this.#received(name, kind, event));
      }
    }
  }

  #failed(source) {
    if (source !== this.source) return;
    source.close(); // or the browser would open it again from where it once began
    this.#retry();
  }

  #retry() {
    this.#reopen(this.#retryMs * (0.5 + Math.random()));
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #received(name, kind, event) {
    if (kind === "lost") return this.#retry();
    this.#retryMs = RETRY_MS;
    const end = kind === "log" ? Number(event.lastEventId) : undefined;
    if (kind === "changed") this.#open.set(name, event.data);
    if (kind === "log") this.positions.set(name, end);
    if (FINAL.includes(kind)) this.#open.delete(name);
    for (const [member, { follows }] of this.#members) {
      const state = follows.get(name);
      if (!state) continue;
      if (FINAL.includes(kind)) follows.delete(name);
      if (kind === "log") state.offset = Math.max(state.offset, end);
      if (kind === "changed" && (state.seen === event.data || state.sent === event.data)) continue;
      if (kind === "changed") state.sent = event.data;
      this.deliver(member, { name, kind, data: event.data, end });
    }
    if (!this.#open.size) this.source.close();
  }

  #sweep() {
    for (const [member, { reported }] of this.#members) {
      if (Date.now() - reported > SILENT_MS_MAX) this.#members.delete(member);
    }
    if (this.#differs()) this.#reopen(GATHER_MS);
  }
}
