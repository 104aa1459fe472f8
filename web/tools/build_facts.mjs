/**
 * Beside the built page: what it was built from, and the licences of what is in it.
 *
 * `source.sha256` is the hash that hatch_build.py computes in the same way: a wheel takes a page that was built
 * already only if its sources are still these.
 */

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";

const SOURCES = [
  "index.html",
  "package-lock.json",
  "package.json",
  "public",
  "src",
  "tools",
  "tsconfig.json",
  "vite.config.ts",
];
const LICENCE_NAMES = ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "license"];

/** The hash of everything the page is built from: over the sorted paths and the hashes of their bytes. */
export function sourceHash(root) {
  const files = SOURCES.flatMap((name) => filesIn(join(root, name))).map((path) =>
    relative(root, path).split(sep).join("/"),
  );
  // By code units, as Python sorts texts of these characters too; a locale's order would differ.
  files.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const whole = createHash("sha256");
  for (const path of files) {
    const bytes = readFileSync(join(root, path));
    whole.update(`${path}\n${createHash("sha256").update(bytes).digest("hex")}\n`);
  }
  return whole.digest("hex");
}

function filesIn(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesIn(join(path, name)));
}

/** A plugin of Vite that writes `source.sha256` and `LICENSES.txt` into the built page, and packs what is large. */
export function buildFacts(root) {
  return {
    name: "clew-build-facts",
    apply: "build",
    generateBundle(_, bundle) {
      const packages = new Map();
      for (const chunk of Object.values(bundle)) {
        for (const id of Object.keys(chunk.modules ?? {})) {
          const folder = packageFolder(id);
          if (folder) packages.set(folder, licenceOf(folder));
        }
      }
      const licences = [...packages.values()].sort((a, b) => (a < b ? -1 : 1)).join("\n");
      this.emitFile({
        type: "asset",
        fileName: "LICENSES.txt",
        source: `The page contains these packages.\n\n${licences}`,
      });
      this.emitFile({ type: "asset", fileName: "source.sha256", source: `${sourceHash(root)}\n` });
    },
    writeBundle({ dir }, bundle) {
      // The server sends these as they are: packing once here is packing never there.
      for (const name of Object.keys(bundle).filter((one) => /\.(js|css)$/.test(one))) {
        const file = join(dir, name);
        const packed = gzipSync(readFileSync(file), { level: 9 });
        if (statSync(file).size > 1024) writeFileSync(`${file}.gz`, packed);
      }
    },
  };
}

/** The folder of the package a module is part of, where it is part of one. */
function packageFolder(id) {
  const path = id.replace(/^\0/, "").split("?")[0];
  if (!path.includes(`${sep}node_modules${sep}`)) return null;
  for (let folder = dirname(path); folder.includes("node_modules"); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    // Some packages have a nameless package.json further down, which only sets the kind of its modules.
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name) return folder;
  }
  return null;
}

function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = LICENCE_NAMES.map((one) => join(folder, one)).find(existsSync);
  if (!file) throw new Error(`${name} ${version} has no licence file; the page may not contain it`);
  return `${name} ${version} (${license})\n\n${readFileSync(file, "utf8").trim()}\n\n${"-".repeat(72)}\n`;
}
