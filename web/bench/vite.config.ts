import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The bench's page is no part of the built page: it goes where `--outDir` says.
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  plugins: [react()],
  build: {
    target: "esnext",
    emptyOutDir: true,
    rolldownOptions: { input: fileURLToPath(new URL("timeline.html", import.meta.url)) },
  },
});
