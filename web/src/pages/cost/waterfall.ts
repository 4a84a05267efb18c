/** The steps from what one period cost to what the next one did. Pure; money is added exactly on the server. */

export interface Step {
  name: string;
  /** Text as the server gave it, in US dollars. */
  usd: string;
  kind: "start" | "up" | "down" | "same" | "end";
  /** Where the bar stands, as shares of the width. */
  from: number;
  to: number;
}

interface Change {
  baseline: { cost_usd: string };
  current: { cost_usd: string };
  factors: { factor: string; contribution_usd: string }[];
}

export const FACTORS: Record<string, { name: string; help: string }> = {
  volume: { name: "Volume", help: "more or fewer calls" },
  model_mix: { name: "Model mix", help: "other models for the same calls" },
  tokens_per_request: { name: "Tokens per call", help: "longer prompts or answers" },
  cache_hit_rate: { name: "Cache hits", help: "more or less read from the cache" },
  price: { name: "Price", help: "another tariff for the same tokens" },
};

/** Lays out the waterfall: both periods as whole bars, between them each factor from where the one before it ended. */
export function waterfall(change: Change): Step[] {
  const before = Number(change.baseline.cost_usd);
  const after = Number(change.current.cost_usd);
  const levels = [before];
  for (const factor of change.factors) levels.push(levels[levels.length - 1] + Number(factor.contribution_usd));
  const low = Math.min(0, ...levels);
  const span = Math.max(...levels, after, 0) - low || 1;
  const at = (usd: number) => (usd - low) / span;
  const steps: Step[] = [{ name: "Before", usd: change.baseline.cost_usd, kind: "start", from: at(0), to: at(before) }];
  change.factors.forEach((factor, index) => {
    const up = levels[index + 1] >= levels[index];
    const [from, to] = up ? [levels[index], levels[index + 1]] : [levels[index + 1], levels[index]];
    steps.push({ name: FACTORS[factor.factor]?.name ?? factor.factor, usd: factor.contribution_usd, kind: Number(factor.contribution_usd) === 0 ? "same" : up ? "up" : "down", from: at(from), to: at(to) });
  });
  steps.push({ name: "Now", usd: change.current.cost_usd, kind: "end", from: at(0), to: at(after) });
  return steps;
}

/** Writes a change with its sign. */
export function signed(text: string, usd: string): string {
  return Number(usd) > 0 ? `+${text}` : Number(usd) < 0 ? `−${text.replace("-", "")}` : text;
}
