/** Budgets: what is used, what is left, where it leads; made, changed and removed here. */
import { deleteBudget, getBudget, listBudgets } from "../../api/calls";
import type { BudgetItem } from "../../api/client";
import { formatCount, formatShare, formatUsd, plural } from "../../state/format";
import { viewHref } from "../../state/view";
import { State } from "../../ui/figures";
import { Button } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { useLoad } from "../../ui/useLoad";
import { BudgetForm } from "./BudgetForm";

export function Budgets() {
  return (
    <Managed<BudgetItem>
      title="Budgets"
      note="of this project, whatever is filtered above"
      add="Add a budget"
      load={listBudgets}
      empty="No budget yet. One holds a limit for a day, a week or a month, warns before it is used up, and can make the proxy refuse."
      form={(budget, close, saved) => <BudgetForm budget={budget} onClose={close} onSaved={saved} />}
      removal={(budget) => ({
        title: `Delete the budget ${budget.name}?`,
        words: `Its history of reached thresholds goes with it.${budget.enforce ? " The proxy stops refusing because of it." : ""}`,
        act: () => deleteBudget(budget.id),
      })}
    >
      {(budgets, { edit, remove }) => (
        <ul class="budgets">
          {budgets.map((budget) => (
            <Budget key={`${budget.id}|${budget.updated_at}`} budget={budget} onEdit={() => edit(budget)} onRemove={() => remove(budget)} />
          ))}
        </ul>
      )}
    </Managed>
  );
}

const PERIODS: Record<string, string> = { day: "per day", week: "per week", month: "per month" };

function Budget({ budget, onEdit, onRemove }: { budget: BudgetItem; onEdit: () => void; onRemove: () => void }) {
  // The list has no forecasts: they are asked for one by one, and the figures stand without them until then.
  const detail = useLoad(budget.id, (signal) => getBudget(budget.id, signal));
  const states = (detail.data ?? budget).states;
  const ends = new Date(budget.current_period.end_time).toLocaleString("en-US", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return (
    <li class={budget.enabled ? "budget" : "budget budget-off"}>
      <div class="item-head">
        <h3 class="ellipsis">{budget.name}</h3>
        <span class="muted num">
          {formatUsd(budget.limit_usd)} {PERIODS[budget.period] ?? `in ${budget.rolling_hours} h`}
          {budget.per ? ` for each ${budget.per}` : ""}
        </span>
        {budget.q && (
          <a class="chip" href={viewHref({ q: budget.q })}>
            <code class="ellipsis">{budget.q}</code>
          </a>
        )}
        {budget.enforce && <span class="chip chip-warn">proxy refuses at 100%</span>}
        {!budget.enabled && <span class="chip">off</span>}
        <span class="grow" />
        <Button icon="edit" label={`Change ${budget.name}`} onClick={onEdit} />
        <Button icon="trash" label={`Delete ${budget.name}`} onClick={onRemove} />
      </div>
      {states.length === 0 && <p class="muted small">Nothing spent in this period.</p>}
      {states.slice(0, 5).map((state) => {
        const limit = Number(budget.limit_usd);
        const top = Math.max(1, state.used_share, (state.forecast?.total_usd ?? 0) / limit) * 1.02;
        const look = state.used_up ? "error" : state.reached.length || state.projected_overrun ? "warn" : "ok";
        return (
          <div key={state.value} class="budget-state num">
            {budget.per && <span class="budget-value ellipsis">{state.value || "(none)"}</span>}
            <span class="budget-bar" aria-hidden="true">
              {state.forecast && <span class="budget-forecast" style={{ left: `${(state.forecast.low_usd / limit / top) * 100}%`, width: `${Math.max(0, Math.min(1, state.forecast.high_usd / limit / top) - state.forecast.low_usd / limit / top) * 100}%` }} />}
              <span class={`budget-used budget-${look}`} style={{ width: `${(state.used_share / top) * 100}%` }} />
              {state.forecast && <span class="budget-expected" style={{ left: `${Math.min(1, state.forecast.total_usd / limit / top) * 100}%` }} />}
              <span class="budget-limit" style={{ left: `${(1 / top) * 100}%` }} />
            </span>
            <span class="budget-words">
              <State look={look}>
                {formatUsd(state.used_usd)} used, {formatShare(state.used_share)}
              </State>
              {Number(state.left_usd) < 0 ? <span class="error-text"> over by {formatUsd(-Number(state.left_usd))}</span> : <span class="muted"> {formatUsd(state.left_usd)} left</span>}
              {state.forecast && (
                <span class={state.projected_overrun ? "warn-text" : "muted"}>
                  {" "}
                  · heading for {formatUsd(state.forecast.total_usd)} by {ends} ({formatUsd(state.forecast.low_usd)} to {formatUsd(state.forecast.high_usd)} in {formatShare(state.forecast.coverage)} of cases)
                </span>
              )}
              {state.unpriced_calls > 0 && (
                <span class="warn-text">
                  {" "}
                  · {plural(state.unpriced_calls, "call")} ({formatCount(state.unpriced_tokens)} tok) without a price are not in it
                </span>
              )}
            </span>
          </div>
        );
      })}
      {states.length > 5 && <p class="muted small">and {states.length - 5} more</p>}
    </li>
  );
}
