/** The list itself: windowed rows, sorting in the header, filters from cells, arrows and j/k. */
import { useEffect, useRef, useState } from "preact/hooks";
import { href, navigate } from "../../router";
import { formatCount, formatDuration, formatErrorType, formatWhen } from "../../state/format";
import { NARROW, useHotkeys, useMedia } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button } from "../../ui/kit";
import { useWindow } from "../../ui/window";
import { CategoryMark, type Column, Cost, StatusMark } from "./columns";
import type { Row } from "./rows";

interface Props {
  rows: Row[];
  columns: Column[];
  label: string;
  sort: string;
  dimmed: boolean;
  loadingMore: boolean;
  hasMore: boolean;
  active: number;
  onActive: (index: number) => void;
  onSort: (sort: string) => void;
  onFilter: (field: string, value: string, negated: boolean) => void;
  onMore: () => void;
  onScrolled: (atTop: boolean) => void;
}

const ROW = 36;
const CARD = 104;
const HEAD = 32;

export function Table(props: Props) {
  const { rows, columns, active } = props;
  const narrow = useMedia(NARROW);
  const rowHeight = narrow ? CARD : ROW;
  const { element, range, measure, reveal } = useWindow(rows.length, rowHeight);
  const [hot, setHot] = useState<Hot | null>(null);

  const scrolled = () => {
    measure();
    setHot(null);
    const box = element.current;
    if (!box) return;
    props.onScrolled(box.scrollTop < rowHeight);
    if (props.hasMore && !props.loadingMore && box.scrollHeight - box.scrollTop - box.clientHeight < 30 * rowHeight) props.onMore();
  };
  // A first page shorter than the screen must fetch the next without being scrolled.
  useEffect(() => {
    const box = element.current;
    if (box && props.hasMore && !props.loadingMore && box.scrollHeight <= box.clientHeight) props.onMore();
  }, [rows.length, props.hasMore, props.loadingMore]);

  // Coming back from a trace, the row it was opened from is in view again.
  useEffect(() => {
    if (active >= 0) reveal(active, narrow ? 0 : HEAD);
  }, []);

  const move = (step: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, active < 0 ? 0 : active + step));
    if (!rows.length) return;
    // Whoever steps through the rows has left the button that was pressed before: Enter opens the row.
    const focused = document.activeElement;
    if (focused instanceof HTMLElement && !element.current?.contains(focused)) focused.blur();
    props.onActive(next);
    reveal(next, narrow ? 0 : HEAD);
  };
  const open = (row: Row) => navigate(href("trace", { id: row.traceId, span: row.spanId || undefined }));
  useHotkeys((key, event) => {
    if (key === "j" || key === "ArrowDown") move(1);
    else if (key === "k" || key === "ArrowUp") move(-1);
    else if (key === "Enter" && active >= 0 && rows[active] && !isControl(event.target)) open(rows[active]);
    else return false;
    return true;
  });
  useEffect(() => {
    if (active < 0) return;
    const focused = document.activeElement;
    if (focused && focused !== document.body && !element.current?.contains(focused)) return;
    element.current?.querySelector<HTMLElement>(`[data-row="${active}"]`)?.focus({ preventScroll: true });
  }, [active, range.start, range.end]);

  const click = (event: MouseEvent, index: number) => {
    if ((event.target as Element).closest("a, button") || window.getSelection()?.toString()) return;
    props.onActive(index);
    open(rows[index]);
  };
  const hover = (event: PointerEvent) => {
    const target = (event.target as Element).closest<HTMLElement>("[data-field]");
    if (!target) {
      if (!(event.target as Element).closest(".cell-tools")) setHot(null);
      return;
    }
    const box = element.current!.getBoundingClientRect();
    const cell = (target.closest(".cell") ?? target).getBoundingClientRect();
    const right = Math.min(cell.right, box.right - 4);
    setHot({ field: target.dataset.field!, value: target.dataset.value!, top: cell.top - box.top, right: box.right - right, height: cell.height });
  };

  const tracks = columns.map((column) => column.track).join(" ");
  const width = columns.reduce((sum, column) => sum + column.minWidth + 16, 0);
  return (
    <div class="table-place" onPointerLeave={() => setHot(null)}>
      <div
        ref={element}
        class={`table${narrow ? " table-cards" : ""}${props.dimmed ? " dimmed" : ""}`}
        role="grid"
        aria-label={props.label}
        aria-rowcount={props.hasMore ? -1 : rows.length + 1}
        aria-busy={props.dimmed}
        tabIndex={active < 0 ? 0 : -1}
        onScroll={scrolled}
        onPointerOver={narrow ? undefined : hover}
        style={{ "--tracks": tracks, "--row": `${rowHeight}px`, "--width": `${width}px` }}
      >
        {!narrow && <Head {...props} />}
        <div class="table-body" role="rowgroup" style={{ height: `${rows.length * rowHeight}px` }}>
          {rows.slice(range.start, range.end).map((row, offset) => {
            const index = range.start + offset;
            return (
              <div
                key={row.key}
                role="row"
                aria-rowindex={index + 2}
                aria-selected={index === active}
                class="table-row"
                data-row={index}
                tabIndex={index === active ? 0 : -1}
                style={{ transform: `translateY(${index * rowHeight}px)` }}
                onClick={(event) => click(event, index)}
                onFocus={() => index !== active && props.onActive(index)}
              >
                {narrow ? <Card row={row} /> : <Cells row={row} columns={columns} />}
              </div>
            );
          })}
        </div>
        {props.loadingMore && <p class="table-more muted">Loading more…</p>}
      </div>
      {hot && <CellTools hot={hot} onFilter={props.onFilter} />}
    </div>
  );
}

interface Hot {
  field: string;
  value: string;
  top: number;
  right: number;
  height: number;
}

function CellTools({ hot, onFilter }: { hot: Hot; onFilter: Props["onFilter"] }) {
  return (
    <div class="cell-tools" style={{ top: `${hot.top}px`, right: `${hot.right}px`, height: `${hot.height}px` }}>
      <Button icon="plus" label={`Only ${hot.field} ${hot.value}`} tabIndex={-1} onClick={() => onFilter(hot.field, hot.value, false)} />
      <Button icon="minus" label={`Without ${hot.field} ${hot.value}`} tabIndex={-1} onClick={() => onFilter(hot.field, hot.value, true)} />
    </div>
  );
}

function Head({ columns, sort, onSort }: Props) {
  const field = sort.replace(/^-/, "");
  const descending = sort.startsWith("-");
  return (
    <div class="table-head" role="rowgroup">
      <div role="row" aria-rowindex={1} class="table-head-row">
        {columns.map((column) => {
          const sorted = column.sort === field;
          return (
            <div key={column.id} role="columnheader" class={column.align === "end" ? "cell end" : "cell"} aria-sort={sorted ? (descending ? "descending" : "ascending") : undefined}>
              {column.sort ? (
                <button type="button" class="sort" onClick={() => onSort(sorted && descending ? column.sort! : `-${column.sort}`)}>
                  {column.name}
                  {sorted && <Icon name="sort" size={12} class={descending ? "turned" : ""} />}
                </button>
              ) : (
                column.name
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Cells({ row, columns }: { row: Row; columns: Column[] }) {
  return (
    <>
      {columns.map((column) => {
        const filter = column.filter?.(row);
        return (
          <div key={column.id} role="gridcell" class={column.align === "end" ? "cell end" : "cell"} data-field={filter?.field} data-value={filter?.value}>
            {column.cell(row)}
          </div>
        );
      })}
    </>
  );
}

/** A row where there is no room for columns. */
function Card({ row }: { row: Row }) {
  return (
    <div role="gridcell" class="card">
      <div class="card-top">
        {row.category ? <CategoryMark category={row.category} /> : <StatusMark row={row} />}
        <a class="row-link ellipsis" href={href("trace", { id: row.traceId, span: row.spanId || undefined })} tabIndex={-1}>
          {row.name || "(no name)"}
        </a>
        <time class="num muted" dateTime={row.time}>
          {formatWhen(row.time)}
        </time>
      </div>
      <p class="card-text ellipsis">{row.input || "–"}</p>
      {row.output || !row.errorText ? <p class="card-text ellipsis muted">{row.output || "–"}</p> : <p class="card-text ellipsis error-text">{formatErrorType(row.errorText)}</p>}
      <div class="card-facts num">
        <span>{formatDuration(row.durationMs)}</span>
        {(row.inputTokens !== null || row.outputTokens !== null) && <span>{formatCount((row.inputTokens ?? 0) + (row.outputTokens ?? 0))} tok</span>}
        {row.costStatus && <Cost usd={row.costUsd} status={row.costStatus} />}
        {row.models[0] && <span class="ellipsis">{row.models[0]}</span>}
      </div>
    </div>
  );
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button, input, select") !== null;
}

/** Where the table is empty while its first page loads: quiet bars in the shape of rows. */
export function TableSkeleton() {
  const widths = useRef(Array.from({ length: 12 }, (_, i) => 40 + ((i * 37) % 50)));
  return (
    <div class="skeleton" aria-hidden="true">
      {widths.current.map((width, index) => (
        <span key={index} style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
