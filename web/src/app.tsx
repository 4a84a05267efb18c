/** The frame around every page: who is asking, which page is shown, theme and help. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getIngest, getMe, listTraces } from "./api/calls";
import { ApiError, loginNeeded, type Me } from "./api/client";
import { LoginPage } from "./pages/login/LoginPage";
import { TracesPage } from "./pages/traces/TracesPage";
import { href, navigate, place, projectOf } from "./router";
import { HelpDialog } from "./ui/HelpDialog";
import { useHotkeys } from "./ui/hooks";
import { Button, Notice, Toast } from "./ui/kit";
import { lazy } from "./ui/lazy";
import { Reach, useRetry } from "./ui/Reach";
import { goKey, TopBar } from "./ui/TopBar";

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
  useRetry(bootError.value, () => void boot());
  // The letter after g is not the page's own key of that name.
  useHotkeys((key) => {
    if (goKey(key)) return true;
    if (key !== "?") return false;
    helpOpen.value = true;
    return true;
  }, true);
  if (loginNeeded.value) return <LoginPage onDone={boot} />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar keysRequired={me.value?.keys_required ?? false} onHelp={() => (helpOpen.value = true)} />
      <main id="main" tabIndex={-1}>
        <Page key={projectOf(place.value.params)} />
      </main>
      {helpOpen.value && <HelpDialog onClose={() => (helpOpen.value = false)} />}
      <Reach />
      <Toast />
    </>
  );
}

function Page() {
  if (bootError.value) {
    return (
      <div class="page-center">
        <Notice kind="error" title={bootError.value.message} heading>
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
      return <SetupPage keysRequired={me.value.keys_required} admin={me.value.admin} />;
    default:
      return (
        <div class="page-center">
          <Notice kind="empty" title="There is no such page" heading>
            <p>
              <a href={href("traces")}>Go to the traces</a>
            </p>
          </Notice>
        </div>
      );
  }
}
