/** The head of a trace: what it was, what it took, and links to its kin. */
import type { TraceDetail } from "../../api/client";
import { formatCount, formatDuration, formatExact, formatFull, formatScore, formatUsdFine, plural } from "../../state/format";
import { condition } from "../../state/query";
import { viewHref } from "../../state/view";
import { NARROW, useMedia } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button, CopyButton } from "../../ui/kit";
import { StatusMark } from "../traces/columns";

interface Props {
  trace: TraceDetail;
  loading: boolean;
  loaded: number;
  onReload: () => void;
  onCopyLink: () => void;
  onBack: () => void;
}

export function TraceHeader({ trace, loading, loaded, onReload, onCopyLink, onBack }: Props) {
  // There the figures scroll sideways, which must work with the keyboard too.
  const narrow = useMedia(NARROW);
  const failed = trace.error_count > 0 || trace.status_code === "error";
  return (
    <header class="trace-head">
      <div class="trace-title">
        <Button icon="left" label="Back to the list (Esc)" onClick={onBack} />
        <StatusMark row={{ error: failed, errorText: trace.error_types.join(", ") }} />
        <h1 class="ellipsis" title={trace.name}>
          {trace.name || "(no name)"}
        </h1>
        <span class="trace-id mono muted ellipsis" title={`Trace id ${trace.trace_id}`}>
          {trace.trace_id}
        </span>
        <CopyButton text={trace.trace_id} label="Copy the trace id" />
        <span class="grow" />
        {loading && <span class="muted num trace-loading">{loaded ? `${formatExact(loaded)} of ${formatExact(trace.span_count)} spans…` : "Loading…"}</span>}
        <Button icon="reload" look="outline" label="Reload (r)" onClick={onReload} />
        <Button icon="link" look="outline" label="Copy link (y)" onClick={onCopyLink} />
      </div>
      <dl class="stats" tabIndex={narrow ? 0 : undefined}>
        <Stat name="Started">
          <time dateTime={trace.start_time}>{formatFull(trace.start_time)}</time>
        </Stat>
        <Stat name="Duration">{formatDuration(trace.duration_ms)}</Stat>
        {trace.ttft_ms !== null && <Stat name="First token">{formatDuration(trace.ttft_ms)}</Stat>}
        <Stat name="Spans">
          {formatExact(trace.span_count)}
          {trace.error_count > 0 && <span class="error-text stat-extra">{plural(trace.error_count, "error")}</span>}
        </Stat>
        <Stat name="Tokens" title={tokensTitle(trace)}>
          {trace.input_tokens === null && trace.output_tokens === null ? "–" : `${formatCount(trace.input_tokens)} → ${formatCount(trace.output_tokens)}`}
        </Stat>
        <Stat name="Cost" title={trace.cost_usd ? `$${trace.cost_usd}` : undefined}>
          {trace.cost_usd === null ? (trace.cost_status === "unpriced" ? "unpriced" : "–") : formatUsdFine(trace.cost_usd)}
          {trace.cost_status === "partial" && <span class="warn-text stat-extra">incomplete</span>}
        </Stat>
        {trace.session_id && (
          <Stat name="Session">
            <a class="ellipsis" href={viewHref({ q: condition("session", trace.session_id), range: "all" })} title={trace.session_id}>
              {trace.session_id}
            </a>
          </Stat>
        )}
        {trace.user_id && (
          <Stat name="User">
            <a class="ellipsis" href={viewHref({ q: condition("user", trace.user_id), range: "all" })} title={trace.user_id}>
              {trace.user_id}
            </a>
          </Stat>
        )}
        {trace.services.length > 0 && <Stat name="Service">{trace.services.join(", ")}</Stat>}
        {trace.environment && <Stat name="Environment">{trace.environment}</Stat>}
        {trace.release && <Stat name="Release">{trace.release}</Stat>}
        {Object.entries(trace.scores).map(([name, score]) => (
          <Stat key={name} name={name}>
            {formatScore(score.value, score.label)}
          </Stat>
        ))}
        {trace.tags.length > 0 && (
          <Stat name="Tags">
            <span class="chips">
              {trace.tags.map((tag) => (
                <a class="chip" key={tag} href={viewHref({ q: condition("tag", tag), range: "all" })}>
                  {tag}
                </a>
              ))}
            </span>
          </Stat>
        )}
      </dl>
      {(trace.missing_parents > 0 || !trace.complete) && (
        <p class="trace-warning">
          <Icon name="warning" size={14} />
          <span>
            {!trace.complete && "The root span has not arrived. "}
            {trace.missing_parents > 0 && `${plural(trace.missing_parents, "span")} ${trace.missing_parents === 1 ? "names a parent that is" : "name parents that are"} not here. `}
            They may still come, or their sender failed or sampled them out.
          </span>
          <button type="button" class="link" onClick={onReload}>
            Reload
          </button>
        </p>
      )}
    </header>
  );
}

function Stat({ name, title, children }: { name: string; title?: string; children: preact.ComponentChildren }) {
  return (
    <div class="stat" title={title}>
      <dt class="ellipsis">{name}</dt>
      <dd class="num">{children}</dd>
    </div>
  );
}

function tokensTitle(trace: TraceDetail): string {
  const lines = [`${formatExact(trace.input_tokens)} in, ${formatExact(trace.output_tokens)} out`];
  if (trace.cache_read_tokens) lines.push(`${formatExact(trace.cache_read_tokens)} of input read from cache`);
  if (trace.cache_write_tokens) lines.push(`${formatExact(trace.cache_write_tokens)} of input written to cache`);
  if (trace.reasoning_tokens) lines.push(`${formatExact(trace.reasoning_tokens)} of output spent on reasoning`);
  return lines.join("\n");
}
