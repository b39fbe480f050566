import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, decoded, encoded } from "../redis.js";

const REDIS = process.env.REDIS_URL ?? "redis://localhost";

test("a command has the lengths in bytes", () => {
  assert.equal(encoded(["GET", "ü"]), "*2\r\n$3\r\nGET\r\n$2\r\nü\r\n");
});

test("a reply is read when it is whole", () => {
  const whole = Buffer.from("$5\r\nhello\r\n");
  for (let size = 0; size < whole.length; size++) assert.equal(decoded(whole.subarray(0, size)), undefined);
  assert.equal(decoded(whole), "hello");
  assert.equal(decoded(Buffer.from(":7\r\n")), 7);
  assert.equal(decoded(Buffer.from("$-1\r\n")), null);
  assert.match(decoded(Buffer.from("*1\r\n")).message, /unknown reply/);
});

test("a real Redis counts", async () => {
  await ask(REDIS, "DEL", "test");
  assert.equal(await ask(REDIS, "GET", "test"), null);
  assert.equal(await ask(REDIS, "INCR", "test"), 1);
  assert.equal(await ask(REDIS, "GET", "test"), "1");
});

test("an error of Redis is an error here", async () => {
  await assert.rejects(ask(REDIS, "NOSUCH"), /unknown command/);
});
