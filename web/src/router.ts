/**
 * Where the page is: a path below the prefix and its search parameters.
 *
 * The prefix is read from the address of this very script, so the dashboard works below any sub-path. (In a page of
 * a deeper path the server says with a `<base>` how many folders up the scripts lie; see `main.tsx`.)
 */
import { signal } from "@preact/signals";

export interface Place {
  /** "traces", "trace", "setup"; empty at the front door. */
  page: string;
  params: URLSearchParams;
}

/** The dashboard's root on this host, ending in a slash. */
export const prefix = import.meta.env.DEV ? "/" : new URL(/* @vite-ignore */ "../", import.meta.url).pathname;

export const place = signal<Place>(readPlace());

function readPlace(): Place {
  const path = window.location.pathname;
  const rest = path.startsWith(prefix) ? path.slice(prefix.length) : path.replace(/^\//, "");
  return placeOf(rest, new URLSearchParams(window.location.search));
}

/** Reads a path below the prefix: one thing of a list may be named in it. What no page has is a page of its own name. */
export function placeOf(path: string, params: URLSearchParams): Place {
  const [page, id, ...more] = path.replace(/\/+$/, "").split("/");
  if (!id) return { page, params };
  if (more.length > 0 || (page !== "traces" && page !== "alerts")) return { page: path, params };
  params.set("id", decoded(id));
  return { page: page === "traces" ? "trace" : page, params };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const PROJECT = "project";
/** The one asked about where neither the address nor the key names any. */
export const USUAL_PROJECT = "default";

/** The project that a link names; empty: the one that the key opens. */
export function projectOf(params: URLSearchParams): string {
  return params.get(PROJECT) ?? "";
}

/** Writes the address of a page; a trace's `id` becomes part of the path. Empty parameters are left out. */
export function href(page: string, params: Record<string, string | undefined> | URLSearchParams = {}): string {
  const search = new URLSearchParams();
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  for (const [key, value] of entries) if (value) search.set(key, value);
  // Whoever came by a link into another project stays there.
  const project = projectOf(place.value.params);
  if (project && !search.has(PROJECT)) search.set(PROJECT, project);
  const id = page === "trace" ? search.get("id") : null;
  if (id) search.delete("id");
  // Colons, commas and slashes need no escaping in a query, and links stay readable without it.
  const text = search.toString().replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%2F/g, "/");
  return `${prefix}${id ? `traces/${encodeURIComponent(id)}` : page}${text ? `?${text}` : ""}`;
}

/** Goes to an address; with `replace`, without a new step for Back. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === window.location.pathname + window.location.search) return;
  if (options.replace) window.history.replaceState(window.history.state, "", to);
  else window.history.pushState(null, "", to);
  place.value = readPlace();
}

/** Opens another project: the same page, where it is not about one thing of this project. */
export function openProject(id: string): void {
  // The list that a trace leads back to is that of the project before.
  sessionStorage.removeItem("spanhouse.list");
  const { page } = place.value;
  navigate(`${prefix}${page === "trace" ? "traces" : page}${id !== USUAL_PROJECT ? `?${PROJECT}=${encodeURIComponent(id)}` : ""}`);
}

/** Changes some parameters of the current page; `undefined` or empty removes one. */
export function setParams(changes: Record<string, string | undefined>, options: { replace?: boolean } = {}): void {
  const params = new URLSearchParams(place.value.params);
  for (const [key, value] of Object.entries(changes)) {
    if (value) params.set(key, value);
    else params.delete(key);
  }
  navigate(href(place.value.page, params), options);
}

/** Starts listening to Back, Forward and clicks on our own links. */
export function startRouter(): void {
  window.addEventListener("popstate", () => (place.value = readPlace()));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a[href]") as HTMLAnchorElement | null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
    if (link.hash && link.pathname === window.location.pathname) return;
    if (!link.pathname.startsWith(prefix) || link.pathname.startsWith(`${prefix}api/`)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
