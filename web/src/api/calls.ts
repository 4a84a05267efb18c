/** The calls the pages make, one function each. All throw ApiError, and let aborts pass. */
import { client, unwrap } from "./client";

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

export const getSpan = (traceId: string, spanId: string, signal?: AbortSignal) =>
  unwrap(client.GET("/api/v1/traces/{trace_id}/spans/{span_id}", { params: { path: { trace_id: traceId, span_id: spanId } }, signal }));

export const getFacet = (
  query: { field: string; q?: string; from?: string; to?: string; scope?: string; limit?: number },
  signal?: AbortSignal,
) => unwrap(client.GET("/api/v1/facets", { params: { query: clean(query) }, signal }));

export const getMetric = (
  query: { metric: string; interval?: number; q?: string; from?: string; to?: string; group_by?: string },
  signal?: AbortSignal,
) => unwrap(client.GET("/api/v1/metrics", { params: { query: clean(query) }, signal }));

export const listFields = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/fields", { signal }));

export const getIngest = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/ingest", { signal }));

export const getMe = (signal?: AbortSignal) => unwrap(client.GET("/api/v1/me", { signal }));

export const login = (key: string) => unwrap(client.POST("/api/v1/login", { body: { key } }));

export const logout = () => unwrap(client.POST("/api/v1/logout", {}));
