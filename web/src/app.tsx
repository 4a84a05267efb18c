/** The frame around every page: who is asking, which page is shown, theme and help. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getIngest, getMe, listTraces, logout } from "./api/calls";
import { ApiError, loginNeeded, type Me } from "./api/client";
import { LoginPage } from "./pages/login/LoginPage";
import { TracesPage } from "./pages/traces/TracesPage";
import { href, navigate, place } from "./router";
import { prefs, setPrefs, type Theme } from "./state/prefs";
import { HelpDialog } from "./ui/HelpDialog";
import { useHotkeys } from "./ui/hooks";
import { Icon, type IconName } from "./ui/icons";
import { Button, Notice, Popover, Toast } from "./ui/kit";
import { lazy } from "./ui/lazy";
import { Mark } from "./ui/Mark";

const TracePage = lazy(() => import("./pages/trace/TracePage").then((module) => module.TracePage));
const SetupPage = lazy(() => import("./pages/setup/SetupPage").then((module) => module.SetupPage));

const OverviewPage = lazy(() => import("./pages/overview/OverviewPage").then((module) => module.OverviewPage));
const LatencyPage = lazy(() => import("./pages/latency/LatencyPage").then((module) => module.LatencyPage));
const CostPage = lazy(() => import("./pages/cost/CostPage").then((module) => module.CostPage));
const AlertsPage = lazy(() => import("./pages/alerts/AlertsPage").then((module) => module.AlertsPage));
const IngestPage = lazy(() => import("./pages/ingest/IngestPage").then((module) => module.IngestPage));

const me = signal<Me | null>(null);
const bootError = signal<ApiError | null>(null);
const helpOpen = signal(false);

/** Finds out who is asking and, at the front door, whether anything was received yet. */
async function boot(): Promise<void> {
  bootError.value = null;
  try {
    const who = await getMe();
    me.value = who;
    loginNeeded.value = !who.authenticated;
    if (who.authenticated && place.value.page === "") navigate(href((await isEmpty()) ? "setup" : "traces"), { replace: true });
  } catch (error) {
    if (error instanceof ApiError && error.status !== 401) bootError.value = error;
  }
}

async function isEmpty(): Promise<boolean> {
  try {
    return (await getIngest()).received_spans === 0;
  } catch (error) {
    // A project's key does not open the server's counters; its own list tells as well.
    if (error instanceof ApiError && error.status === 403) return (await listTraces({ q: "", sort: "", limit: 1 })).items.length === 0;
    throw error;
  }
}

export function App() {
  useEffect(() => void boot(), []);
  useEffect(() => {
    if (me.value?.authenticated && place.value.page === "") void boot();
  }, [place.value.page]);
  useHotkeys((key) => {
    if (goKey(key)) return true;
    if (key !== "?") return false;
    helpOpen.value = true;
    return true;
  });
  if (loginNeeded.value) return <LoginPage onDone={boot} />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      {helpOpen.value && <HelpDialog onClose={() => (helpOpen.value = false)} />}
      <Toast />
    </>
  );
}

function Page() {
  if (bootError.value) {
    return (
      <div class="page-center">
        <Notice kind="error" title={bootError.value.message}>
          <p>{bootError.value.hint}</p>
          <Button look="outline" icon="reload" onClick={boot}>
            Try again
          </Button>
        </Notice>
      </div>
    );
  }
  if (!me.value) return null;
  switch (place.value.page) {
    case "":
      return null;
    case "traces":
      return <TracesPage />;
    case "trace":
      return <TracePage />;
    case "overview":
      return <OverviewPage />;
    case "latency":
      return <LatencyPage />;
    case "cost":
      return <CostPage />;
    case "alerts":
      return <AlertsPage />;
    case "ingest":
      return <IngestPage />;
    case "setup":
      return <SetupPage keysRequired={me.value.keys_required} />;
    default:
      return (
        <div class="page-center">
          <Notice kind="empty" title="There is no such page">
            <p>
              <a href={href("traces")}>Go to the traces</a>
            </p>
          </Notice>
        </div>
      );
  }
}

/** `key` opens a page after `g`. */
const PAGES: { page: string; also: string[]; name: string; icon: IconName; key: string }[] = [
  { page: "overview", also: [], name: "Overview", icon: "overview", key: "o" },
  { page: "traces", also: ["trace"], name: "Traces", icon: "list", key: "t" },
  { page: "latency", also: [], name: "Latency", icon: "clock", key: "l" },
  { page: "cost", also: [], name: "Cost", icon: "coin", key: "c" },
  { page: "alerts", also: [], name: "Alerts", icon: "bell", key: "a" },
  { page: "ingest", also: [], name: "Ingest", icon: "inbox", key: "i" },
  { page: "setup", also: [], name: "Setup", icon: "setup", key: "s" },
];
const GO_MS = 1200;
let goUntil = 0;

/** `g`, then the letter of a page. */
function goKey(key: string): boolean {
  const waiting = Date.now() < goUntil;
  goUntil = key === "g" && !waiting ? Date.now() + GO_MS : 0;
  const found = waiting ? PAGES.find((one) => one.key === key) : undefined;
  if (found) navigate(href(found.page));
  return found !== undefined || key === "g";
}

function TopBar() {
  const current = place.value.page;
  return (
    <header class="topbar">
      <a class="brand" href={href("traces")} aria-label="Spanhouse: traces">
        <Mark />
        <span class="brand-name">Spanhouse</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map((one) => (
          <a key={one.page} href={href(one.page)} class="nav-link" title={`${one.name} (g ${one.key})`} aria-current={current === one.page || one.also.includes(current) ? "page" : undefined}>
            <Icon name={one.icon} size={14} />
            <span class="nav-name">{one.name}</span>
          </a>
        ))}
      </nav>
      <span class="grow" />
      <ThemeMenu />
      <Button icon="help" label="Help and keyboard shortcuts (?)" onClick={() => (helpOpen.value = true)} />
      {me.value?.keys_required && (
        <Button
          label="Log out"
          onClick={async () => {
            await logout();
            loginNeeded.value = true;
          }}
        >
          Log out
        </Button>
      )}
    </header>
  );
}

const THEMES: { theme: Theme; name: string; icon: IconName }[] = [
  { theme: "system", name: "System", icon: "screen" },
  { theme: "light", name: "Light", icon: "sun" },
  { theme: "dark", name: "Dark", icon: "moon" },
];

function ThemeMenu() {
  const chosen = THEMES.find((one) => one.theme === prefs.value.theme) ?? THEMES[0];
  return (
    <Popover label={`Theme: ${chosen.name}`} look="plain" align="end" trigger={() => <Icon name={chosen.icon} />} class="theme-menu">
      {(close) => (
        <div class="menu">
          {THEMES.map((one) => (
            <button
              key={one.theme}
              type="button"
              class="menu-item"
              aria-pressed={one.theme === chosen.theme}
              onClick={() => {
                setPrefs({ theme: one.theme });
                close();
              }}
            >
              <Icon name={one.icon} size={14} />
              {one.name}
              {one.theme === chosen.theme && <Icon name="check" size={14} class="menu-check" />}
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}
