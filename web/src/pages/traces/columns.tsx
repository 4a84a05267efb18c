/** The columns of the list: what stands in each, how wide it is, what it sorts and filters by. */
import type { ComponentChildren } from "preact";
import { href } from "../../router";
import { formatCount, formatDuration, formatErrorType, formatExact, formatFull, formatScore, formatUsd, formatWhen } from "../../state/format";
import type { RowKind } from "../../state/view";
import { Icon, knownCategory } from "../../ui/icons";
import type { Row } from "./rows";

export interface Column {
  id: string;
  name: string;
  /** A CSS grid track. */
  track: string;
  /** Counted when the columns do not fit, in pixels. */
  minWidth: number;
  align?: "end";
  /** The API's sort field. */
  sort?: string;
  /** The filter that a click in the cell would set. */
  filter?: (row: Row) => { field: string; value: string } | null;
  cell: (row: Row) => ComponentChildren;
  only?: RowKind;
  /** Unless the reader chose columns, this one is left out where no row has anything for it. */
  optional?: (row: Row) => boolean;
}

const NONE = <span class="none">–</span>;
const one = (field: string, value: string | undefined) => (value ? { field, value } : null);

export const COLUMNS: Column[] = [
  {
    id: "time",
    name: "Time",
    track: "100px",
    minWidth: 100,
    sort: "start_time",
    cell: (row) => (
      <time class="num muted" dateTime={row.time} title={formatFull(row.time)}>
        {formatWhen(row.time)}
      </time>
    ),
  },
  {
    id: "name",
    name: "Name",
    track: "minmax(150px, 1.1fr)",
    minWidth: 150,
    filter: (row) => one("name", row.name),
    cell: (row) => (
      <>
        {row.category ? <CategoryMark category={row.category} /> : <StatusMark row={row} />}
        <a class="row-link ellipsis" href={href("trace", { id: row.traceId, span: row.spanId || undefined })} tabIndex={-1} title={row.name}>
          {row.name || "(no name)"}
        </a>
        {!row.complete && (
          <span class="chip chip-warn" title="Its root span has not arrived">
            partial
          </span>
        )}
        {row.category && row.error && <StatusMark row={row} />}
      </>
    ),
  },
  {
    id: "model",
    name: "Model",
    track: "minmax(110px, 0.95fr)",
    minWidth: 110,
    filter: (row) => one("model", row.models[0]),
    cell: (row) =>
      row.models.length ? (
        <>
          <span class="ellipsis" title={row.models.join("\n")}>
            {row.models[0]}
          </span>
          {row.models.length > 1 && <span class="muted more num">+{row.models.length - 1}</span>}
        </>
      ) : (
        NONE
      ),
  },
  { id: "input", name: "Input", track: "minmax(130px, 1.4fr)", minWidth: 130, cell: (row) => <Preview text={row.input} /> },
  {
    id: "output",
    name: "Output",
    track: "minmax(130px, 1.4fr)",
    minWidth: 130,
    cell: (row) => (row.output ? <Preview text={row.output} /> : row.error && row.errorText ? <span class="ellipsis error-text" title={row.errorText}>{formatErrorType(row.errorText)}</span> : NONE),
  },
  {
    id: "tokens",
    name: "Tokens",
    track: "112px",
    minWidth: 112,
    align: "end",
    sort: "tokens",
    cell: (row) =>
      row.inputTokens === null && row.outputTokens === null ? (
        NONE
      ) : (
        <span class="num" title={`${formatExact(row.inputTokens)} in, ${formatExact(row.outputTokens)} out`}>
          {formatCount(row.inputTokens)}
          <span class="arrow"> → </span>
          {formatCount(row.outputTokens)}
        </span>
      ),
  },
  { id: "cost", name: "Cost", track: "86px", minWidth: 86, align: "end", sort: "cost", filter: (row) => one("cost_status", row.costStatus), cell: (row) => <Cost usd={row.costUsd} status={row.costStatus} /> },
  { id: "duration", name: "Duration", track: "84px", minWidth: 84, align: "end", sort: "duration", cell: (row) => <span class="num">{formatDuration(row.durationMs)}</span> },
  { id: "ttft", name: "First token", track: "86px", minWidth: 86, align: "end", cell: (row) => (row.ttftMs === null ? NONE : <span class="num">{formatDuration(row.ttftMs)}</span>) },
  { id: "status", name: "Status", track: "76px", minWidth: 76, filter: (row) => one("status", row.error ? "error" : ""), cell: (row) => (row.error ? <span class="status status-error"><Icon name="error" size={13} />{row.errorCount > 1 ? `${row.errorCount} errors` : "error"}</span> : <span class="status status-ok"><Icon name="check" size={13} />ok</span>) },
  {
    id: "who",
    name: "User, session",
    track: "minmax(150px, 0.8fr)",
    minWidth: 150,
    optional: (row) => row.user !== "" || row.session !== "",
    cell: (row) =>
      row.user || row.session ? (
        <>
          {row.user && (
            <span class="ellipsis who-user" data-field="user" data-value={row.user} title={`User ${row.user}`}>
              {row.user}
            </span>
          )}
          {row.session && (
            <span class="ellipsis muted" data-field="session" data-value={row.session} title={`Session ${row.session}`}>
              {row.session}
            </span>
          )}
        </>
      ) : (
        NONE
      ),
  },
  { id: "session", name: "Session", track: "minmax(86px, 0.5fr)", minWidth: 86, filter: (row) => one("session", row.session), cell: (row) => <Id text={row.session} /> },
  { id: "user", name: "User", track: "minmax(76px, 0.45fr)", minWidth: 76, filter: (row) => one("user", row.user), cell: (row) => <Id text={row.user} /> },
  { id: "scores", name: "Scores", track: "minmax(110px, 0.5fr)", minWidth: 110, optional: (row) => Object.keys(row.scores).length > 0, cell: (row) => <Scores row={row} /> },
  { id: "spans", name: "Spans", track: "58px", minWidth: 58, align: "end", only: "traces", cell: (row) => <span class="num">{formatCount(row.spanCount)}</span> },
  { id: "service", name: "Service", track: "minmax(90px, 0.5fr)", minWidth: 90, filter: (row) => one("service", row.services[0]), cell: (row) => <Id text={row.services.join(", ")} /> },
  { id: "environment", name: "Environment", track: "minmax(90px, 0.4fr)", minWidth: 90, filter: (row) => one("environment", row.environment), cell: (row) => <Id text={row.environment} /> },
  { id: "release", name: "Release", track: "minmax(80px, 0.4fr)", minWidth: 80, filter: (row) => one("release", row.release), cell: (row) => <Id text={row.release} /> },
  { id: "tags", name: "Tags", track: "minmax(100px, 0.6fr)", minWidth: 100, filter: (row) => one("tag", row.tags[0]), cell: (row) => (row.tags.length ? <span class="chips">{row.tags.slice(0, 3).map((tag) => <span class="chip" key={tag}>{tag}</span>)}</span> : NONE) },
];

export const DEFAULT_COLUMNS = ["time", "name", "model", "input", "output", "tokens", "cost", "duration", "who", "scores"];

/** Returns the columns to show, in their fixed order; ids of columns that no longer exist are skipped. */
export function chosenColumns(kind: RowKind, ids: string[] | undefined, rows: readonly Row[]): Column[] {
  const chosen = ids?.some((id) => COLUMNS.some((column) => column.id === id));
  const wanted = new Set(chosen ? ids : DEFAULT_COLUMNS);
  const filled = (column: Column) => chosen || !column.optional || rows.some(column.optional);
  return COLUMNS.filter((column) => wanted.has(column.id) && (!column.only || column.only === kind) && filled(column));
}

function Preview({ text }: { text: string }) {
  if (!text) return NONE;
  return (
    <span class="ellipsis preview" title={text}>
      {text}
    </span>
  );
}

function Id({ text }: { text: string }) {
  return text ? (
    <span class="ellipsis" title={text}>
      {text}
    </span>
  ) : (
    NONE
  );
}

function Scores({ row }: { row: Row }) {
  const names = Object.keys(row.scores);
  if (!names.length) return NONE;
  return (
    <span class="chips" title={names.map((name) => `${name}: ${formatScore(row.scores[name].value, row.scores[name].label)}`).join("\n")}>
      {names.slice(0, 2).map((name) => (
        <span class="chip" key={name}>
          {name} <b class="num">{formatScore(row.scores[name].value, row.scores[name].label)}</b>
        </span>
      ))}
      {names.length > 2 && <span class="muted">+{names.length - 2}</span>}
    </span>
  );
}

/** Money, or in words why there is none. */
export function Cost({ usd, status }: { usd: string | null; status: string }) {
  if (usd === null) return status === "unpriced" ? <span class="unpriced">unpriced</span> : NONE;
  const note = status === "partial" ? "Some of it has no price" : status === "reported" ? "As reported by the sender" : `$${usd}`;
  return (
    <span class="num" title={note}>
      {status === "partial" && <span class="muted">≥ </span>}
      {formatUsd(usd)}
    </span>
  );
}

/** Whether it went well; shape and colour both say so. */
export function StatusMark({ row }: { row: { error: boolean; errorText?: string } }) {
  return row.error ? (
    <span class="mark-error" role="img" aria-label="error" title={row.errorText || "error"}>
      <Icon name="error" size={14} />
    </span>
  ) : (
    <span class="mark-ok" role="img" aria-label="ok">
      <Icon name="check" size={14} />
    </span>
  );
}

/** The coloured square that says what kind of span this is. */
export function CategoryMark({ category }: { category: string }) {
  const known = knownCategory(category);
  return (
    <span class="cat" style={{ "--cat": `var(--cat-${known})` }} role="img" aria-label={known} title={known}>
      <Icon name={known} size={12} />
    </span>
  );
}
