// A client for the few commands of Redis that the counter needs.
import net from "node:net";

const TIMEOUT_MS = 5000;

/** Sends one command on a connection of its own; a text, a number or null. */
export function ask(address, ...words) {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostname, port: Number(port || 6379) });
    let received = Buffer.alloc(0);
    const end = (finish, value) => {
      socket.destroy();
      finish(value);
    };
    socket.setTimeout(TIMEOUT_MS, () => end(reject, new Error(`Redis did not answer in ${TIMEOUT_MS} ms`)));
    socket.on("error", (error) => end(reject, error));
    socket.on("end", () => end(reject, new Error("Redis closed the connection")));
    socket.on("connect", () => socket.write(encoded(words)));
    socket.on("data", (part) => {
      received = Buffer.concat([received, part]);
      const reply = decoded(received);
      if (reply instanceof Error) end(reject, reply);
      else if (reply !== undefined) end(resolve, reply);
    });
  });
}

/** A command as Redis reads it. */
export function encoded(words) {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

/** The reply: a text, a number, null, an Error; undefined where it is not whole yet. */
export function decoded(bytes) {
  const end = bytes.indexOf("\r\n");
  if (end < 0) return undefined;
  const kind = String.fromCharCode(bytes[0]);
  const line = bytes.subarray(1, end).toString();
  if (kind === "+") return line;
  if (kind === ":") return Number(line);
  if (kind === "-") return new Error(`Redis: ${line}`);
  if (kind !== "$") return new Error(`unknown reply: ${kind}`);
  const length = Number(line);
  if (length < 0) return null;
  if (bytes.length < end + 2 + length + 2) return undefined;
  return bytes.subarray(end + 2, end + 2 + length).toString();
}
