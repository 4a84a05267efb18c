// Claude Code itself, asked without a person at the terminal: `node claude_code_app.mjs own chat`.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const [, scenario] = process.argv.slice(2);
const home = join(process.cwd(), "home");
const work = join(process.cwd(), "work");
mkdirSync(home);
mkdirSync(work);
// The only command that the fake model knows to call is the name of a city.
writeFileSync(join(work, "Paris"), "#!/bin/sh\necho 'It is 21 degrees in Paris.'\n", { mode: 0o755 });

const scenarios = {
  chat: ["Why is the sky blue, grüße 🌍?", "--tools", ""],
  // It calls the only tool there is, as the question names it, then reads its result.
  agent: ["What says Bash of the weather in Paris?", "--tools", "Bash", "--allowedTools", "Bash"],
};
const [question, ...options] = scenarios[scenario];
const folder = dirname(
  createRequire(import.meta.url).resolve(
    `@anthropic-ai/claude-code-${process.platform}-${process.arch}/package.json`,
  ),
);
const run = spawnSync(join(folder, "claude"), ["-p", question, "--model", "claude-sonnet-4-5", ...options], {
  cwd: work,
  env: { ...process.env, PATH: `${work}:${process.env.PATH}`, HOME: home, CLAUDE_CONFIG_DIR: join(home, ".claude") },
  encoding: "utf8",
  timeout: 90_000,
});
if (run.status !== 0) throw new Error(`Claude Code ended with ${run.status}: ${run.stdout} ${run.stderr}`);
