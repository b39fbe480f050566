import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { build } from "../build.js";
import { makeServer } from "../server.js";

const server = makeServer(process.env.REDIS_URL ?? "redis://localhost");
let base;

before(async () => {
  await build("pages", ".cache", "dist");
  await once(server.listen(0, "127.0.0.1"), "listening");
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

test("each visit counts", async () => {
  const earlier = await (await fetch(`${base}/visits`)).json();
  assert.equal(await (await fetch(`${base}/visits`, { method: "POST" })).json(), earlier + 1);
  assert.equal(await (await fetch(`${base}/visits`)).json(), earlier + 1);
});

test("pages are there, and nothing else of the folder", async () => {
  assert.match(await (await fetch(`${base}/`)).text(), /<h1>Visits/);
  for (const path of ["/server.js", "/..%2fpackage.json", "/nothing.html"]) {
    assert.equal((await fetch(base + path)).status, 404);
  }
});

test("without Redis it says so", async () => {
  const alone = makeServer("redis://127.0.0.1:1");
  await once(alone.listen(0, "127.0.0.1"), "listening");
  const answer = await fetch(`http://127.0.0.1:${alone.address().port}/health`);
  alone.close();
  assert.equal(answer.status, 503);
});
