import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { buildFacts } from "./tools/build_facts.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));

// The page is served by `clew serve` from the wheel: no CDN, no inline scripts (its CSP forbids them).
export default defineConfig({
  plugins: [react(), buildFacts(root)],
  build: {
    outDir: "../src/clew/server/static",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  // The contrast of the colours is tested: that test reads them.
  test: { css: { include: /tokens/ } },
  server: { proxy: { "/api": process.env.CLEW_SERVER ?? "http://127.0.0.1:7777" } },
});
