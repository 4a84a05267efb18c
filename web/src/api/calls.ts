/** The calls the pages make, one function each. All throw ApiError, and let aborts pass. */
import { type BudgetInput, type ChannelInput, client, type GpuPriceInput, type InhibitionInput, type PriceInput, type RuleInput, type SilenceInput, type SloInput, type SpanDetail, unwrap } from "./client";
import { parseExactly } from "./exact";

export interface ListParams {
  q: string;
  sort: string;
  from?: string;
  to?: string;
  cursor?: string;
  limit?: number;
}

/** Removes empty parameters, so that requests say only what they mean. */
function clean<T extends object>(params: T): T {
  return Object.fromEntries(Object.entries(params).filter(([, value]) => value !== "" && value !== undefined)) as T;
}

export const listTraces = (params: ListParams, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/traces", { params: { query: clean(params) }, signal }));

export const listSpans = (params: ListParams, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/spans", { params: { query: clean(params) }, signal }));

export const getTrace = (traceId: string, page: { limit: number; cursor?: string }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/traces/{trace_id}", { params: { path: { trace_id: traceId }, query: clean(page) }, signal }));

export async function getSpan(traceId: string, spanId: string, signal?: AbortSignal): Promise<SpanDetail> {
  const text = await unwrap(client.GET("/api/v1/traces/{trace_id}/spans/{span_id}", { params: { path: { trace_id: traceId, span_id: spanId } }, signal, parseAs: "text" }));
  return parseExactly(text) as SpanDetail;
}

export const getFacet = (
  query: { field: string; q?: string; from?: string; to?: string; scope?: string; limit?: number },
  signal?: AbortSignal,
) => unwrap(client.GET("/api/v1/facets", { params: { query: clean(query) }, signal }));

export const getMetric = (
  query: { metric: string; interval?: number; q?: string; from?: string; to?: string; group_by?: string; limit?: number },
  signal?: AbortSignal,
) => unwrap(client.GET("/api/v1/metrics", { params: { query: clean(query) }, signal }));

export const listFields = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/fields", { signal }));

export const getIngest = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/ingest", { signal }));

export const getMe = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/me", { signal }));

export const listProjects = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/projects", { signal }));

/** Makes a key for the project; its secret is in this reply only. */
export const createKey = (name: string) => unwrap(client.POST("/api/v1/keys", { body: { name } }));

export const login = (key: string) => unwrap(client.POST("/api/v1/login", { body: { key } }));

export const logout = () => unwrap(client.POST("/api/v1/logout", {}));

/** A filter over a stretch of time, as all figures take it. */
export interface Over {
  q?: string;
  from?: string;
  to?: string;
}

export const getCost = (query: Over & { group_by?: string; interval?: number; limit?: number }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/cost", { params: { query: clean(query) }, signal }));

/** Pairs come as lists from the client: hence not the schema's own type. */
export type SpendReply = Awaited<ReturnType<typeof getCost>>;

export const getCostChanges = (query: Over & { baseline_from?: string; baseline_to?: string }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/cost/changes", { params: { query: clean(query) }, signal }));

export const getWhatIf = (query: Over & { model: string[] }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/cost/what-if", { params: { query: clean(query) }, signal }));

export const getWaste = (query: Over, signal?: AbortSignal) => unwrap(client.GET("/api/v1/cost/waste", { params: { query: clean(query) }, signal }));

export const getSelfHosted = (query: Over & { model?: string[] }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/cost/self-hosted", { params: { query: clean(query) }, signal }));

export const listPrices = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/prices", { signal }));

export const createPrice = (body: PriceInput) => unwrap(client.POST("/api/v1/prices", { body }));

export const deletePrice = (id: string) => unwrap(client.DELETE("/api/v1/prices/{price_id}", { params: { path: { price_id: id } } }));

/** Prices the stored spans of a project anew. */
export const startReprice = (project: string) => unwrap(client.POST("/api/v1/reprice", { body: { project, since: "" } }));

export const getRemake = (id: string, signal?: AbortSignal) => unwrap(client.GET("/api/v1/remakes/{remake_id}", { params: { path: { remake_id: id } }, signal }));

export const listGpuPrices = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/cost/gpu-prices", { signal }));

export const createGpuPrice = (body: GpuPriceInput) => unwrap(client.POST("/api/v1/cost/gpu-prices", { body }));

export const deleteGpuPrice = (id: string) => unwrap(client.DELETE("/api/v1/cost/gpu-prices/{price_id}", { params: { path: { price_id: id } } }));

export const listBudgets = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/budgets", { signal }));

export const getBudget = (id: string, signal?: AbortSignal) => unwrap(client.GET("/api/v1/budgets/{budget_id}", { params: { path: { budget_id: id } }, signal }));

/** Makes a budget, or replaces the one with this id. */
export const saveBudget = (id: string, body: BudgetInput) =>
  id
    ? unwrap(client.PUT("/api/v1/budgets/{budget_id}", { params: { path: { budget_id: id } }, body }))
    : unwrap(client.POST("/api/v1/budgets", { body }));

export const deleteBudget = (id: string) => unwrap(client.DELETE("/api/v1/budgets/{budget_id}", { params: { path: { budget_id: id } } }));

export const getLatency = (query: Over & { group_by?: string; of?: string; limit?: number; slowest?: number; slowest_by?: string }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/latency", { params: { query: clean(query) }, signal }));

export const listSlos = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/slos", { signal }));

export type SloState = Awaited<ReturnType<typeof listSlos>>["items"][number];

/** Makes a service level, or replaces the one with this id. */
export const saveSlo = (id: string, body: SloInput) =>
  id ? unwrap(client.PUT("/api/v1/slos/{slo_id}", { params: { path: { slo_id: id } }, body })) : unwrap(client.POST("/api/v1/slos", { body }));

export const deleteSlo = (id: string) => unwrap(client.DELETE("/api/v1/slos/{slo_id}", { params: { path: { slo_id: id } } }));

export const listAlerts = (query: { state?: string; rule?: string; severity?: string; limit?: number; cursor?: string }, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/alerts", { params: { query: clean(query) }, signal }));

export const getAlert = (id: string, signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/{alert_id}", { params: { path: { alert_id: id } }, signal }));

export const listAlertTypes = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/types", { signal }));

export const listRules = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/rules", { signal }));

/** Makes a rule, or replaces the one with this id. */
export const saveRule = (id: string, body: RuleInput) =>
  id
    ? unwrap(client.PUT("/api/v1/alerts/rules/{rule_id}", { params: { path: { rule_id: id } }, body }))
    : unwrap(client.POST("/api/v1/alerts/rules", { body }));

export const deleteRule = (id: string) => unwrap(client.DELETE("/api/v1/alerts/rules/{rule_id}", { params: { path: { rule_id: id } } }));

/** Runs a rule over the past without keeping it. */
export const backTest = (rule: RuleInput, from: string, signal?: AbortSignal) =>
  unwrap(client.POST("/api/v1/alerts/rules/backtest", { body: { rule, from, to: "now" }, signal }));

/** Points come as lists from the client: hence not the schema's own type. */
export type BackTestReply = Awaited<ReturnType<typeof backTest>>;

export const listSilences = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/silences", { signal }));

export const createSilence = (body: SilenceInput) => unwrap(client.POST("/api/v1/alerts/silences", { body }));

export const endSilence = (id: string) => unwrap(client.DELETE("/api/v1/alerts/silences/{silence_id}", { params: { path: { silence_id: id } } }));

export const listInhibitions = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/inhibitions", { signal }));

/** Replaces all inhibitions of the project, unless somebody changed them since `version`. */
export const setInhibitions = (items: InhibitionInput[], version: string) => unwrap(client.PUT("/api/v1/alerts/inhibitions", { body: { items, version } }));

export const listChannels = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/alerts/channels", { signal }));

/** Makes a channel, or replaces the one with this id; secrets that are left out stay. */
export const saveChannel = (id: string, body: ChannelInput) =>
  id
    ? unwrap(client.PUT("/api/v1/alerts/channels/{channel_id}", { params: { path: { channel_id: id } }, body }))
    : unwrap(client.POST("/api/v1/alerts/channels", { body }));

export const deleteChannel = (id: string) => unwrap(client.DELETE("/api/v1/alerts/channels/{channel_id}", { params: { path: { channel_id: id } } }));

export const testChannel = (id: string) => unwrap(client.POST("/api/v1/alerts/channels/{channel_id}/test", { params: { path: { channel_id: id } } }));

export const listNotifications = (id: string, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/alerts/channels/{channel_id}/notifications", { params: { path: { channel_id: id }, query: { limit: 20 } }, signal }));
