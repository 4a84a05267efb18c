/** The bar on top of every page: where one is, in which project, theme and help. */
import { useEffect, useRef, useState } from "preact/hooks";
import { listProjects, logout } from "../api/calls";
import { loginNeeded, type ProjectItem } from "../api/client";
import { href, navigate, openProject, place, projectOf, USUAL_PROJECT } from "../router";
import { prefs, setPrefs, type Theme } from "../state/prefs";
import { Icon, type IconName } from "./icons";
import { Button, Popover } from "./kit";
import { Mark } from "./Mark";

/** `key` opens a page after `g`. */
export const PAGES: { page: string; also: string[]; name: string; icon: IconName; key: string }[] = [
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
export function goKey(key: string): boolean {
  const waiting = Date.now() < goUntil;
  goUntil = key === "g" && !waiting ? Date.now() + GO_MS : 0;
  const found = waiting ? PAGES.find((one) => one.key === key) : undefined;
  if (found) navigate(href(found.page));
  return found !== undefined || key === "g";
}

export function TopBar({ keysRequired, onHelp }: { keysRequired: boolean; onHelp: () => void }) {
  const current = place.value.page;
  const row = useRef<HTMLElement>(null);
  // Where the row of pages is wider than the screen, the open one must not be out of sight.
  useEffect(() => {
    const pages = row.current;
    if (!pages) return undefined;
    const observer = new ResizeObserver(() => pages.querySelector('[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "nearest" }));
    observer.observe(pages);
    return () => observer.disconnect();
  }, [current]);
  return (
    <header class="topbar">
      <a class="brand" href={href("traces")} aria-label="Spanhouse: traces">
        <Mark />
        <span class="brand-name">Spanhouse</span>
      </a>
      <nav aria-label="Pages" ref={row}>
        {PAGES.map((one) => (
          <a key={one.page} href={href(one.page)} class="nav-link" title={`${one.name} (g ${one.key})`} aria-current={current === one.page || one.also.includes(current) ? "page" : undefined}>
            <Icon name={one.icon} size={14} />
            <span class="nav-name">{one.name}</span>
          </a>
        ))}
      </nav>
      <span class="grow" />
      <ProjectMenu />
      <ThemeMenu />
      <Button icon="help" label="Help and keyboard shortcuts (?)" onClick={onHelp} />
      {keysRequired && (
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

/** Changes the project; there only for those who may open more than one. */
function ProjectMenu() {
  const [projects, setProjects] = useState<ProjectItem[]>([]);
  useEffect(() => {
    listProjects().then((reply) => setProjects(reply.items), () => undefined);
  }, []);
  if (projects.length < 2) return null;
  const current = projectOf(place.value.params) || USUAL_PROJECT;
  const name = projects.find((one) => one.id === current)?.name ?? current;
  return (
    <Popover label={`Project: ${name}`} look="plain" align="end" class="project-menu" trigger={() => <ProjectName name={name} />}>
      {(close) => (
        <div class="menu">
          {projects.map((one) => (
            <button
              key={one.id}
              type="button"
              class="menu-item"
              aria-pressed={one.id === current}
              onClick={() => {
                close();
                openProject(one.id);
              }}
            >
              <Icon name="box" size={14} />
              <span class="ellipsis">{one.name}</span>
              {one.id === current && <Icon name="check" size={14} class="menu-check" />}
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}

function ProjectName({ name }: { name: string }) {
  return (
    <>
      <Icon name="box" />
      <span class="project-name ellipsis">{name}</span>
      <Icon name="down" size={12} class="project-down" />
    </>
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
