/** The list of traces or spans: everything that is chosen stands in the URL. */
import { signal } from "@preact/signals";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { listTraces } from "../../api/calls";
import { href, navigate, place } from "../../router";
import { capital, plural } from "../../state/format";
import { prefs, setPrefs } from "../../state/prefs";
import { useFields } from "../../state/fields";
import { add } from "../../state/query";
import { apiTime, describeRange } from "../../state/time";
import { readView, type View, viewParams } from "../../state/view";
import { NARROW, useDelayed, useHotkeys, useMedia, useTitle } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button, Dialog, Notice, Popover } from "../../ui/kit";
import { QueryBar } from "../../ui/QueryBar";
import { RangePicker } from "../../ui/RangePicker";
import { useRetry } from "../../ui/Reach";
import { chosenColumns, COLUMNS, DEFAULT_COLUMNS } from "./columns";
import { Facets } from "./Facets";
import { Histogram } from "./Histogram";
import { Table, TableSkeleton } from "./Table";
import { type LiveState, useList, useLive } from "./useList";

/** Where the reader stood in the list, kept while a trace is open. */
const lastRow = signal<{ search: string; index: number }>({ search: "", index: -1 });

const FIGURES_MS = 10_000;

export function TracesPage() {
  const view = readView(place.value.params, Date.now());
  const search = JSON.stringify(viewParams({ ...view, live: false }));
  const [stamp, setStamp] = useState(1);
  const [atTop, setAtTop] = useState(true);
  const [held, setHeld] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const [active, setActiveRow] = useState(lastRow.value.search === search ? lastRow.value.index : -1);
  const narrow = useMedia(NARROW);
  const fields = useFields();
  const { state, more, arrive } = useList(view, stamp);
  const paused = held || !atTop;
  const reload = () => setStamp((n) => n + 1);
  const { live, release } = useLive(view, paused, arrive, reload);
  const slow = useDelayed(state.loading);
  const beat = useBeat(live.status === "open" && !paused);
  useTitle(view.rows === "traces" ? "Traces" : "Spans");

  // Where Esc in a trace leads back to.
  useEffect(() => sessionStorage.setItem("spanhouse.list", href("traces", viewParams(view))), [search, view.live]);

  const setActive = (index: number) => {
    setActiveRow(index);
    lastRow.value = { search, index };
  };
  const change = useCallback(
    (changes: Partial<View>) => {
      navigate(href("traces", viewParams({ ...readView(place.value.params, Date.now()), ...changes })));
      setActiveRow(-1);
    },
    [],
  );
  useRetry(state.error, reload);
  useHotkeys((key) => {
    if (key === "r") reload();
    else if (key === "l") change({ live: !view.live });
    else if (key === "t") document.querySelector<HTMLButtonElement>(".range-menu > button")?.click();
    else return false;
    return true;
  });

  const columns = useMemo(() => chosenColumns(view.rows, prefs.value.columns[view.rows], state.rows), [view.rows, prefs.value.columns, state.rows]);
  // A filter that cannot be read is told once, by the list; nothing else asks with it.
  const figuresStamp = state.error ? 0 : Math.max(state.loadedAt, beat);
  const facets = <Facets view={view} fields={fields} from={state.from} to={state.to} stamp={figuresStamp} onQuery={(q) => change({ q })} />;
  const facetsShown = prefs.value.facetsOpen && !narrow;

  return (
    <div class="traces">
      <h1 class="visually-hidden">{view.rows === "traces" ? "Traces" : "Spans"}</h1>
      <div class="toolbar">
        <Button
          icon="filter"
          look="outline"
          label={facetsShown ? "Hide the filter panel" : "Show the filter panel"}
          aria-pressed={facetsShown}
          onClick={() => (narrow ? setDrawer(true) : setPrefs({ facetsOpen: !facetsShown }))}
        />
        <div class="switch" role="group" aria-label="Rows">
          {(["traces", "spans"] as const).map((rows) => (
            <button key={rows} type="button" aria-pressed={view.rows === rows} onClick={() => change({ rows, live: false })}>
              {rows === "traces" ? "Traces" : "Spans"}
            </button>
          ))}
        </div>
        <QueryBar value={view.q} fields={fields} error={state.error} from={apiTime(state.from)} to={apiTime(state.to)} scope={view.rows} onApply={(q) => change({ q })} />
        <RangePicker range={view.range} onPick={(range) => change({ range, live: false })} />
        {view.rows === "traces" && <LiveButton view={view} live={live} paused={paused} onToggle={() => change({ live: !view.live, ...(view.live ? {} : { sort: "-start_time" }) })} />}
        <Button icon="reload" look="outline" label="Reload (r)" class="reload" onClick={reload} />
        {!narrow && <ColumnMenu view={view} />}
      </div>
      <Histogram view={view} trim={!place.value.params.has("range")} from={state.from} to={state.to} stamp={figuresStamp} onRange={(range) => change({ range, live: false })} />
      <div class="traces-body">
        {facetsShown && <aside class="facets-side">{facets}</aside>}
        <section class="list" aria-label="Results">
          {view.live && (
            <LiveLine
              live={live}
              paused={paused}
              held={held}
              onHold={() => setHeld(!held)}
              onShow={() => {
                setHeld(false);
                document.querySelector(".table")?.scrollTo({ top: 0 });
                release();
              }}
            />
          )}
          <Results view={view} state={state} slow={slow} onReload={reload} onRange={(range) => change({ range })} onClear={() => change({ q: "" })} />
          {state.rows.length > 0 && !state.error && (
            <Table
              rows={state.rows}
              columns={columns}
              label={view.rows === "traces" ? "Traces" : "Spans"}
              sort={view.sort}
              dimmed={slow}
              loadingMore={state.loadingMore}
              hasMore={state.hasMore}
              active={active}
              onActive={setActive}
              onSort={(sort) => change({ sort, live: false })}
              onFilter={(field, value, negated) => change({ q: add(view.q, field, value, negated) })}
              onMore={more}
              onScrolled={setAtTop}
            />
          )}
        </section>
      </div>
      {drawer && (
        <Dialog title="Filter by value" onClose={() => setDrawer(false)} class="drawer">
          {facets}
        </Dialog>
      )}
    </div>
  );
}

/** The newest instant at which figures beside a live list are to be asked anew; 0 while it is not live. */
function useBeat(on: boolean): number {
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => setBeat(Date.now()), FIGURES_MS);
    return () => clearInterval(timer);
  }, [on]);
  return beat;
}

interface ResultsProps {
  view: View;
  state: ReturnType<typeof useList>["state"];
  slow: boolean;
  onReload: () => void;
  onRange: (range: string) => void;
  onClear: () => void;
}

/** What stands in the list's place when there are no rows to show. */
function Results({ view, state, slow, onReload, onRange, onClear }: ResultsProps) {
  const noun = view.rows;
  if (state.error?.code === "bad_query" && state.error.position >= 0) return <p class="page-center muted">The filter above could not be read.</p>;
  if (state.error) {
    return (
      <div class="page-center">
        <Notice kind="error" title={capital(state.error.message)}>
          <p>{capital(state.error.hint)}</p>
          <Button look="outline" icon="reload" onClick={onReload}>
            Try again
          </Button>
        </Notice>
      </div>
    );
  }
  if (state.rows.length > 0) return null;
  if (state.loading) return slow ? <TableSkeleton /> : null;
  return (
    <div class="page-center">
      <Notice kind="empty" title={view.q ? `No ${noun} match this filter` : `No ${noun} in this range`}>
        <p>Looked at: {describeRange(view.range, Date.now()).toLowerCase()}.</p>
        <div class="notice-actions">
          {view.range !== "all" && (
            <Button look="outline" icon="clock" onClick={() => onRange("all")}>
              Search all time
            </Button>
          )}
          {view.q && (
            <Button look="outline" icon="close" onClick={onClear}>
              Clear the filter
            </Button>
          )}
        </div>
        {!view.q && <SendHint />}
      </Notice>
    </div>
  );
}

/** Points to Setup when the project never received anything. */
function SendHint() {
  const [never, setNever] = useState(false);
  useEffect(() => {
    listTraces({ q: "", sort: "", limit: 1 }).then((page) => setNever(page.items.length === 0), () => undefined);
  }, []);
  return never ? (
    <p>
      Nothing has been received yet. <a href={href("setup")}>Set up an application</a>
    </p>
  ) : null;
}

function LiveButton({ view, live, paused, onToggle }: { view: View; live: LiveState; paused: boolean; onToggle: () => void }) {
  return (
    <button type="button" class={`btn btn-outline live-button${view.live ? " live-on" : ""}`} aria-pressed={view.live} title="Show traces as they arrive (l)" onClick={onToggle}>
      <span class={`live-dot${live.status === "open" && !paused ? " beating" : ""}`} />
      Live
    </button>
  );
}

function LiveLine({ live, paused, held, onHold, onShow }: { live: LiveState; paused: boolean; held: boolean; onHold: () => void; onShow: () => void }) {
  const words: Record<LiveState["status"], string> = {
    off: "",
    connecting: "Connecting…",
    open: paused ? "Paused" : "Live: new traces appear on top",
    lost: "The live connection was refused; reload to try again",
  };
  return (
    <div class="live-line" role="status">
      <Button icon={held ? "play" : "pause"} label={held ? "Go on" : "Pause"} onClick={onHold} />
      <span>{words[live.status]}</span>
      {live.waiting > 0 && (
        <button type="button" class="live-new num" onClick={onShow}>
          {live.waiting} new
        </button>
      )}
      {live.missed > 0 && <span class="muted num">{plural(live.missed, "trace")} came too fast to show; reload to see them</span>}
    </div>
  );
}

function ColumnMenu({ view }: { view: View }) {
  const chosen = prefs.value.columns[view.rows] ?? DEFAULT_COLUMNS;
  const flip = (id: string) => {
    const next = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id];
    if (next.length) setPrefs({ columns: { ...prefs.value.columns, [view.rows]: next } });
  };
  return (
    <Popover label="Columns" align="end" class="columns-menu" trigger={() => <Icon name="columns" />}>
      {() => (
        <div class="menu">
          {COLUMNS.filter((column) => !column.only || column.only === view.rows).map((column) => (
            <label key={column.id} class="menu-item">
              <input type="checkbox" checked={chosen.includes(column.id)} onChange={() => flip(column.id)} />
              {column.name}
            </label>
          ))}
          <button type="button" class="menu-item" onClick={() => setPrefs({ columns: {} })}>
            Reset
          </button>
        </div>
      )}
    </Popover>
  );
}
