// Asks a running service over HTTP, as its users do: node smoke.js http://HOST:8000
import assert from "node:assert/strict";

const [base] = process.argv.slice(2);
const first = await (await fetch(`${base}/visits`, { method: "POST" })).json();
const second = await (await fetch(`${base}/visits`, { method: "POST" })).json();
assert.equal(second, first + 1);
assert.match(await (await fetch(`${base}/about.html`)).text(), /<h1>About/);
console.log(`${base} counts: ${second}`);
