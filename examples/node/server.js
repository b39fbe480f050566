// Counts visits in Redis: POST /visits adds one, GET /visits says how many. All else is a file of dist/.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { ask } from "./redis.js";

const PAGE = /^\/([a-z]+\.html)?$/;

export function makeServer(redis) {
  return http.createServer((request, response) => {
    answer(redis, request).then(
      ([status, type, body, headers = {}]) => response.writeHead(status, { "Content-Type": type, ...headers }).end(body),
      (error) => response.writeHead(503, { "Content-Type": "text/plain" }).end(`${error.message}\n`),
    );
  });
}

async function answer(redis, { method, url }) {
  if (url === "/health") return [200, "text/plain", `${await ask(redis, "PING")}\n`];
  if (url === "/visits" && method === "POST") return [200, "application/json", `${await ask(redis, "INCR", "visits")}\n`];
  if (url === "/visits") return [200, "application/json", `${Number(await ask(redis, "GET", "visits"))}\n`];
  const page = PAGE.exec(url);
  if (!page || method !== "GET") return [404, "text/plain", "not found\n"];
  try {
    const body = await readFile(new URL(`dist/${page[1] ?? "index.html"}.br`, import.meta.url));
    return [200, "text/html", body, { "Content-Encoding": "br" }];
  } catch {
    return [404, "text/plain", "not found\n"];
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  makeServer(process.env.REDIS_URL ?? "redis://localhost").listen(8000, "0.0.0.0");
}
