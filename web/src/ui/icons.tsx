/** Inline icons: one path each on a 16-unit grid, so that an icon costs two DOM nodes. */

const PATHS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.7 10.7 14 14",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.7V8l2.2 1.6",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5 6.3 12 13 4.5",
  chevron: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  left: "M10 3.5 5.5 8 10 12.5",
  copy: "M5.5 5.5V3.2c0-.4.3-.7.7-.7h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7h-2.3M3.2 5.5h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7H3.2a.7.7 0 0 1-.7-.7V6.2c0-.4.3-.7.7-.7Z",
  link: "M6.7 9.3a2.7 2.7 0 0 0 3.8 0l2.3-2.3a2.7 2.7 0 0 0-3.8-3.8l-.9.9M9.3 6.7a2.7 2.7 0 0 0-3.8 0L3.2 9A2.7 2.7 0 0 0 7 12.8l.9-.9",
  reload: "M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 2v2.8h-2.8",
  columns: "M3 2.5h10v11H3zM6.5 2.5v11M9.8 2.5v11",
  filter: "M2 3.5h12M4.5 8h7M6.7 12.5h2.6",
  pause: "M5.3 3v10M10.7 3v10",
  play: "M5 3.2v9.6L12.6 8z",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  warning: "M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2",
  error: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3.6M8 10.9v.2",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.3V11M8 5v.2",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.2 6.3a1.8 1.8 0 1 1 2.6 1.6c-.5.3-.8.6-.8 1.2M8 11v.2",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1",
  moon: "M13.3 9.6A5.6 5.6 0 0 1 6.4 2.7a5.6 5.6 0 1 0 6.9 6.9Z",
  screen: "M2 3h12v8H2zM5.5 13.5h5",
  download: "M8 2.5v7.7M4.8 7.2 8 10.4l3.2-3.2M2.8 13.3h10.4",
  expand: "M5 6 8 3l3 3M5 10l3 3 3-3",
  collapse: "M5 3l3 3 3-3M5 13l3-3 3 3",
  sort: "M8 13V3M4.5 6.5 8 3l3.5 3.5",
  user: "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8ZM2.8 13.6a5.2 5.2 0 0 1 10.4 0",
  chat: "M2.5 3h11v8h-6l-3 2.5V11h-2z",
  setup: "M5.5 3 2 8l3.5 5M10.5 3 14 8l-3.5 5",
  list: "M2.5 4h11M2.5 8h11M2.5 12h7",
  overview: "M2.5 13.500h11M3.5 11V8M6.500 11V5M9.500 11V7M12.500 11V3",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1.2 1.500H2.8zM6.800 13.800a1.300 1.300 0 0 0 2.400 0",
  coin: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM9.800 6.100C9.500 5.500 8.900 5.200 8 5.200c-1.100 0-1.800.5-1.800 1.300 0 2 3.700.9 3.700 3 0 .9-.8 1.400-1.900 1.400-1 0-1.600-.3-1.900-1M8 4.100v1.100M8 10.900V12",
  inbox: "M2.500 9.500 4 3h8l1.500 6.500V13h-11zM2.500 9.500h3.300l.7 1.500h3l.7-1.500h3.300",
  box: "M2.500 4.800 8 2l5.500 2.800v6.400L8 14l-5.500-2.800zM2.500 4.800 8 7.600l5.500-2.800M8 7.600V14",
  route: "M3.500 13.500V9c0-1.700 1-2.500 2.500-2.500h4c1.500 0 2.500-.8 2.500-2.500V2.500M10.500 4.500l2-2 2 2M2 13.500h3",
  trash: "M3 4.500h10M6.500 4.500V3h3v1.500M4.300 4.500l.6 8.500h6.200l.6-8.500M6.700 7v3.700M9.300 7v3.700",
  edit: "M3 13h2.300L13 5.300 10.700 3 3 10.700z",
  mute: "M5.700 4A4 4 0 0 1 12 7v3.500M4 7v4l-1.200 1.500h9M6.800 13.800a1.300 1.300 0 0 0 2.400 0M2.500 2.500l11 11",
  llm: "M8 1.8 9.4 6.6 14.2 8 9.4 9.4 8 14.2 6.6 9.4 1.8 8l4.8-1.4z",
  embedding: "M3 3h.1M8 3h.1M13 3h.1M3 8h.1M8 8h.1M13 8h.1M3 13h.1M8 13h.1M13 13h.1",
  retriever: "M2.5 4.2C2.5 3.3 5 2.5 8 2.5s5.5.8 5.5 1.7S11 6 8 6s-5.5-.9-5.5-1.8ZM2.5 4.2v7.6c0 .9 2.5 1.7 5.5 1.7s5.5-.8 5.5-1.7V4.2M2.5 8c0 .9 2.5 1.7 5.5 1.7s5.5-.8 5.5-1.7",
  reranker: "M4.5 13V3M2 5.5 4.5 3 7 5.5M9 4h5M9 8h4M9 12h2.5",
  tool: "M9.8 6.2a3 3 0 0 1 3.9-3.9L11.5 4.5l.9 1.1 2-2.1a3 3 0 0 1-4 3.8l-6 6.1a1.3 1.3 0 0 1-1.9-1.9z",
  agent: "M3 6h10v7H3zM8 6V3M6.2 9.2v.600M9.8 9.2v.600M1.5 8.5v2M14.5 8.5v2M7.2 2.7h1.6",
  workflow: "M2.5 2.5h4v4h-4zM9.5 9.5h4v4h-4zM4.5 6.5v5h5",
  guardrail: "M8 1.8 13.3 3.7v4c0 3.3-2.2 5.4-5.3 6.5-3.1-1.1-5.3-3.2-5.3-6.5v-4z",
  evaluator: "M2.5 13.5V9M6.2 13.5v-8M9.8 13.5V7.5M13.5 13.5v-11",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  other: "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6Z",
} as const;

export type IconName = keyof typeof PATHS;

/** Draws an icon. It is decoration: whoever uses it names the thing in text or a label. */
export function Icon({ name, size = 16, class: className }: { name: IconName; size?: number; class?: string }) {
  const solid = name === "play";
  return (
    <svg
      class={className ? `icon ${className}` : "icon"}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill={solid ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

const CATEGORIES = new Set([
  "llm", "embedding", "retriever", "reranker", "tool", "agent", "workflow", "guardrail", "evaluator", "server", "other",
]);

/** Returns a category that there is an icon and a colour for. */
export function knownCategory(category: string): IconName {
  return (CATEGORIES.has(category) ? category : "other") as IconName;
}
