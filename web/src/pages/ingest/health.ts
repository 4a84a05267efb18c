/** What the counters of ingest say together. Pure. */
import type { IngestReply } from "../../api/client";

export interface Sample {
  /** Milliseconds. */
  at: number;
  received: number;
}

/** Beyond this age of the oldest waiting request, in seconds, storing does not keep up. */
const LATE_S = 30;

/** Spans per second between the first and the last sample; null before there are two. */
export function rateOf(samples: Sample[]): number | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.at <= first.at) return null;
  return Math.max(0, last.received - first.received) / ((last.at - first.at) / 1000);
}

/** The one thing to know first. */
export function health(ingest: IngestReply): { look: "ok" | "warn" | "error"; words: string } {
  if (ingest.lag_s > LATE_S) return { look: "error", words: "Storing lags behind; nothing accepted is lost" };
  const failing = ingest.workers.filter((worker) => worker.state === "failing").map((worker) => worker.name);
  if (failing.length) return { look: "error", words: `Failing: ${failing.join(", ")}` };
  if (ingest.spool.set_aside) return { look: "warn", words: "Some requests could not be stored and were set aside" };
  const behind = ingest.workers.filter((worker) => worker.lag_s !== null && worker.lag_s > 10 * worker.every_s + 120).map((worker) => worker.name);
  if (behind.length) return { look: "warn", words: `Lagging: ${behind.join(", ")}` };
  return { look: "ok", words: "Everything that was accepted is stored" };
}
