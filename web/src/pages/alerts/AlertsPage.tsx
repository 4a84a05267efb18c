/** Alerts: what fires now and did before, the rules behind it, silences, and the channels that are told. */
import { href, place, setParams } from "../../router";
import { useTitle } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Tabs } from "../../ui/kit";
import { AlertList } from "./AlertList";
import { AlertView } from "./AlertView";
import { Channels } from "./Channels";
import { Inhibitions } from "./Inhibitions";
import { RuleEditor } from "./RuleEditor";
import { Rules } from "./Rules";
import { Silences } from "./Silences";
import "../../styles/alerts.css";

const TABS = [
  { id: "alerts", name: "Alerts" },
  { id: "rules", name: "Rules" },
  { id: "silences", name: "Silences" },
  { id: "channels", name: "Channels" },
];

export function AlertsPage() {
  useTitle("Alerts");
  const params = place.value.params;
  const id = params.get("id");
  const rule = params.get("rule");
  const asked = params.get("tab") ?? "alerts";
  const tab = TABS.some((one) => one.id === asked) ? asked : "alerts";
  return (
    <div class="figures-page">
      <div class="figures-body alerts">
        <div class="page-title">
          {id || rule ? (
            <h1 class="crumb">
              <a href={href("alerts", { tab: rule ? "rules" : undefined })}>
                <Icon name="left" size={14} />
                {rule ? "All rules" : "All alerts"}
              </a>
            </h1>
          ) : (
            <h1>Alerts</h1>
          )}
        </div>
        {id ? (
          <AlertView key={id} id={id} />
        ) : rule ? (
          <RuleEditor key={rule} id={rule === "new" ? "" : rule} />
        ) : (
          <>
            <Tabs tabs={TABS} active={tab} label="Parts of alerting" panelId="alerts-panel" onPick={(next) => setParams({ tab: next === "alerts" ? undefined : next, state: undefined })} />
            <div id="alerts-panel" role="tabpanel" aria-labelledby={`alerts-panel-${tab}`}>
              {tab === "alerts" && <AlertList />}
              {tab === "rules" && <Rules />}
              {tab === "silences" && (
                <div class="figures-body figures-inner">
                  <Silences />
                  <Inhibitions />
                </div>
              )}
              {tab === "channels" && <Channels />}
            </div>
          </>
        )}
      </div>
    </div>
  );
}
