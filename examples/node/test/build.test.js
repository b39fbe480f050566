import assert from "node:assert/strict";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { build } from "../build.js";

test("only changed pages are compressed again", async () => {
  const folder = await mkdtemp(`${tmpdir()}/counter-`);
  const [cache, target] = [`${folder}/cache`, `${folder}/dist`];
  assert.deepEqual(await build("pages", cache, target), { compressed: 2, cached: 0 });
  assert.deepEqual(await build("pages", cache, target), { compressed: 0, cached: 2 });
  assert.deepEqual(await readdir(target), ["about.html.br", "index.html.br"]);
});

test("a damaged file of the cache is made again", async () => {
  const folder = await mkdtemp(`${tmpdir()}/counter-`);
  const [cache, target] = [`${folder}/cache`, `${folder}/dist`];
  await build("pages", cache, target);
  const [first] = await readdir(cache);
  await writeFile(`${cache}/${first}`, "damaged");
  assert.deepEqual(await build("pages", cache, target), { compressed: 1, cached: 1 });
});
