import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page is served by `clew serve` from the wheel: no CDN, no inline scripts (its CSP forbids them).
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/clew/server/static",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:7777" } },
});
