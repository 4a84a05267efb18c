/** Which span of a trace is shown when the address names none. */
import type { Tree, TreeInput } from "./build";

/**
 * Picks the first failure at a leaf, else the model call with most tokens, else the root.
 *
 * A call seen by two instrumentations fails twice, one inside the other: the outer one is shown, since the
 * inner one may know nothing of the prompt.
 */
export function firstToShow(spans: readonly (TreeInput & { category?: string })[], tree: Tree): string {
  const spanAt = (at: number) => spans[tree.order[at]];
  let best = "";
  let most = -1;
  for (let at = 0; at < tree.order.length; at++) {
    const span = spanAt(at);
    if (span.status_code === "error" && tree.errors[at] === 1) return spanAt(outermostCall(at)).span_id;
    if (span.category === "llm" && (span.tokens ?? 0) > most) {
      most = span.tokens ?? 0;
      best = span.span_id;
    }
  }
  return best || (tree.order.length ? spanAt(0).span_id : "");

  function outermostCall(at: number): number {
    const isFailedCall = (each: number) => each >= 0 && spanAt(each).category === "llm" && spanAt(each).status_code === "error";
    while (isFailedCall(at) && isFailedCall(tree.parent[at])) at = tree.parent[at];
    return at;
  }
}
