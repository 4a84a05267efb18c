/** The API's client: typed paths, one error class, and a signal for "log in first". */
import { signal } from "@preact/signals";
import createClient, { createQuerySerializer } from "openapi-fetch";
import { place, prefix, projectOf } from "../router";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type TraceItem = Schemas["TraceItem"];
export type TraceDetail = Schemas["TraceDetail"];
export type SkeletonSpan = Schemas["SkeletonSpan"];
export type SpanItem = Schemas["SpanItem"];
export type SpanDetail = Schemas["SpanDetail"];
export type Score = Schemas["Score"];
export type ScoreSummary = Schemas["ScoreSummary"];
export type FieldItem = Schemas["FieldItem"];
export type FacetsReply = Schemas["FacetsReply"];
export type MetricsReply = Schemas["MetricsReply"];
export type IngestReply = Schemas["IngestReply"];
export type Me = Schemas["Me"];
export type AlertItem = Schemas["AlertItem"];
export type AlertDetail = Schemas["AlertDetail"];
export type RuleItem = Schemas["RuleItem"];
export type RuleInput = Schemas["RuleInput"];
export type ChannelItem = Schemas["ChannelItem"];
export type ChannelInput = Schemas["ChannelInput"];
export type SilenceItem = Schemas["SilenceItem"];
export type SilenceInput = Schemas["SilenceInput"];
export type InhibitionItem = Schemas["InhibitionItem"];
export type InhibitionInput = Schemas["InhibitionsInput"]["items"][number];
export type PriceItem = Schemas["PriceItem"];
export type PriceInput = Schemas["PriceInput"];
export type RemakeItem = Schemas["RemakeItem"];
export type GpuPriceItem = Schemas["GpuPriceItem"];
export type GpuPriceInput = Schemas["GpuPriceInput"];
export type SelfHosted = Schemas["SelfHosted"];
export type ProjectItem = Schemas["ProjectItem"];
export type CostChangeReply = Schemas["CostChangeReply"];
export type BudgetItem = Schemas["BudgetItem"];
export type BudgetInput = Schemas["BudgetInput"];
export type LatencyReply = Schemas["LatencyReply"];
export type Percentiles = Schemas["Percentiles"];
export type SloInput = Schemas["SloInput"];

/** The code of calls that got no answer. */
export const UNREACHABLE = "unreachable";

/** A request that failed, in words for a person. `status` is 0 when no answer came. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly hint: string;
  /** Characters in the filter text; position is -1 where no token is at fault. */
  readonly position: number;
  readonly length: number;

  constructor(status: number, code: string, message: string, hint = "", position = -1, length = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.position = position;
    this.length = length;
  }
}

/** True once any call was answered with 401. */
export const loginNeeded = signal(false);

/** True from a call that got no answer until one that did. */
export const unreachable = signal(false);

export const apiRoot = new URL(prefix, window.location.origin).href;

const serialise = createQuerySerializer();

export const client = createClient<paths>({
  baseUrl: apiRoot.replace(/\/$/, ""),
  credentials: "same-origin",
  // Whoever came by a link into a project asks about that one.
  querySerializer: (query) => serialise({ project: projectOf(place.value.params) || undefined, ...query }),
});

/** The address of stored media; `download` has them handed over as a file. */
export function blobUrl(hash: string, download = false): string {
  const query = new URLSearchParams(download ? { download: "true" } : {});
  const project = projectOf(place.value.params);
  if (project) query.set("project", project);
  const text = query.toString();
  return `${apiRoot}api/v1/blobs/${hash}${text ? `?${text}` : ""}`;
}

interface Outcome<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Waits for a call and returns its data, or throws an ApiError. Aborts pass through. */
export async function unwrap<T>(call: Promise<Outcome<T>>): Promise<T> {
  let outcome: Outcome<T>;
  try {
    outcome = await call;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    unreachable.value = true;
    throw new ApiError(0, UNREACHABLE, "The server does not answer", "Is spanhouse still running? The page keeps asking and goes on when it is back.");
  }
  unreachable.value = false;
  if (outcome.response.ok && outcome.data !== undefined) return outcome.data;
  if (outcome.response.status === 401) loginNeeded.value = true;
  throw toApiError(outcome.response.status, outcome.error);
}

/** Reads the API's one error shape; anything else becomes a plain sentence with the status. */
export function toApiError(status: number, body: unknown): ApiError {
  const detail = (body as { error?: Partial<Schemas["ErrorDetail"]> } | null | undefined)?.error;
  if (!detail?.message) return new ApiError(status, "unexpected", `The server answered ${status} without saying why`);
  return new ApiError(status, detail.code ?? "", detail.message, detail.hint ?? "", detail.position ?? -1, detail.length ?? 0);
}

/** Tells whether an error only means that a newer request took over. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
