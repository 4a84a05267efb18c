/** Service levels: what was promised, what is left of the error budget, and how fast it burns. */
import { deleteSlo, listSlos, type SloState } from "../../api/calls";
import { formatCount, formatDuration, formatShare, plural } from "../../state/format";
import { State } from "../../ui/figures";
import { Button } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { SloForm } from "./SloForm";

export function Slos() {
  return (
    <Managed<SloState>
      title="Service levels"
      note="of this project, whatever is filtered above"
      add="Add a service level"
      load={listSlos}
      empty="None yet. A service level says which share of calls must go well, and shows how much may still go wrong."
      form={(slo, close, saved) => <SloForm slo={slo} onClose={close} onSaved={saved} />}
      removal={(slo) => ({ title: `Delete the service level ${slo.name}?`, words: "Rules that watch it have nothing to watch then.", act: () => deleteSlo(slo.id) })}
    >
      {(slos, { edit, remove }) => (
        <ul>
          {slos.map((slo) => (
            <Level key={slo.id} slo={slo} onEdit={() => edit(slo)} onRemove={() => remove(slo)} />
          ))}
        </ul>
      )}
    </Managed>
  );
}

/** What a service level promises, in words. */
function promise(slo: SloState): string {
  const goal = `${(Number(slo.objective) * 100).toFixed(4).replace(/\.?0+$/, "")}% of ${slo.unit}`;
  const what = slo.indicator === "availability" ? "succeed" : `${slo.latency_of === "ttft" ? "begin to answer" : "are done"} within ${formatDuration(slo.threshold_ms)}`;
  return `${goal} ${what}, over ${plural(slo.window_days, "day")}`;
}

function Level({ slo, onEdit, onRemove }: { slo: SloState; onEdit: () => void; onRemove: () => void }) {
  const { error_budget: budget } = slo;
  const burning = slo.burn.filter((burn) => burn.burning);
  const look = budget.left_share <= 0 || burning.some((burn) => burn.urgency === "page") ? "error" : burning.length || budget.left_share < 0.25 ? "warn" : "ok";
  return (
    <li class="slo">
      <div class="item-head">
        <h3 class="ellipsis">{slo.name}</h3>
        <span class="muted">{promise(slo)}</span>
        {slo.q && <code class="chip">{slo.q}</code>}
        {!slo.enabled && <span class="chip">off</span>}
        <span class="grow" />
        <Button icon="edit" label={`Change ${slo.name}`} onClick={onEdit} />
        <Button icon="trash" label={`Delete ${slo.name}`} onClick={onRemove} />
      </div>
      <div class="slo-body num">
        <div class="slo-budget">
          <span class="slo-bar" aria-hidden="true">
            <span class={`slo-left slo-${look}`} style={{ width: `${Math.max(0, Math.min(1, budget.left_share)) * 100}%` }} />
          </span>
          <p>
            <State look={look}>{budget.events === 0 ? "no events yet" : budget.left_share >= 0 ? `${formatShare(budget.left_share)} of the error budget left` : `overdrawn by ${formatShare(-budget.left_share)}`}</State>
          </p>
          <p class="muted small">
            {budget.attained === null ? "nothing measured" : `${(budget.attained * 100).toFixed(3)}% went well; ${formatCount(budget.bad_events)} of ${formatCount(Number(budget.allowed_bad_events.toPrecision(3)))} allowed bad ones used`}
          </p>
        </div>
        <ul class="slo-burns" aria-label="How fast the error budget burns">
          {slo.burn.map((burn) => (
            <li key={burn.window}>
              <span class="muted">{burn.window}</span>
              <b class={burn.burning ? (burn.urgency === "page" ? "error-text" : "warn-text") : undefined}>{burn.long_rate === null ? "–" : `${Number(burn.long_rate.toPrecision(2))}×`}</b>
              <span class="muted small">{burn.burning ? `burns: ${burn.urgency}` : burn.enough_events ? `alerts at ${burn.burns_from}×` : "too few events"}</span>
            </li>
          ))}
        </ul>
      </div>
    </li>
  );
}
