// Compresses the pages into dist/. What is done once is kept in .cache/ under the content's hash, so only changed pages take time.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { constants, brotliCompressSync, brotliDecompressSync } from "node:zlib";

const STRONGEST = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };

/** How many pages were compressed, and how many came from the cache. */
export async function build(pages, cache, target) {
  const counts = { compressed: 0, cached: 0 };
  await Promise.all([cache, target].map((folder) => mkdir(folder, { recursive: true })));
  for (const name of (await readdir(pages)).sort()) {
    const content = await readFile(`${pages}/${name}`);
    const kept = `${cache}/${createHash("sha256").update(content).digest("hex")}.br`;
    let packed = await fromCache(kept, content);
    counts[packed ? "cached" : "compressed"] += 1;
    if (!packed) {
      packed = brotliCompressSync(content, STRONGEST);
      await writeFile(kept, packed);
    }
    await writeFile(`${target}/${name}.br`, packed);
  }
  return counts;
}

/** The packed bytes, if they are there and are whole. */
async function fromCache(path, content) {
  try {
    const packed = await readFile(path);
    return brotliDecompressSync(packed).equals(content) ? packed : null;
  } catch {
    return null;
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { compressed, cached } = await build("pages", ".cache", "dist");
  console.log(`${compressed} compressed, ${cached} from the cache`);
}
