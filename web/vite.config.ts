import { defineConfig } from "vitest/config";

// The build goes into the server package, which serves it. The base is relative so that the same
// build works at the root of a host and below any sub-path of a proxy.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../server/src/spanhouse_server/_web",
    emptyOutDir: true,
    target: ["chrome123", "firefox121", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    manifest: true,
  },
  server: {
    proxy: { "/api": process.env.SPANHOUSE_DEV_SERVER ?? "http://127.0.0.1:4318" },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts", "src/**/*.test.tsx"],
  },
});
