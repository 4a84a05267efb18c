/** When the server does not answer: saying so, asking until it does, and then going on by itself. */
import { useEffect } from "preact/hooks";
import { getMe } from "../api/calls";
import { type ApiError, UNREACHABLE, unreachable } from "../api/client";
import { Icon } from "./icons";

const ASK_MS = 2000;

/** A note at the bottom of the page; while it stands, it asks. */
export function Reach() {
  const away = unreachable.value;
  useEffect(() => {
    if (!away) return undefined;
    // Any answer ends this, a refusal too: unwrap() takes note of it.
    const timer = setInterval(() => !document.hidden && void getMe().catch(() => undefined), ASK_MS);
    return () => clearInterval(timer);
  }, [away]);
  return (
    <div class="reach-place" role="status" aria-live="polite">
      {away && (
        <div class="reach">
          <Icon name="warning" size={14} />
          The server does not answer. What you see is from before; asking again…
        </div>
      )}
    </div>
  );
}

/** Does again what got no answer, once the server is back. */
export function useRetry(error: ApiError | null, retry: () => void): void {
  const lost = error?.code === UNREACHABLE;
  const away = unreachable.value;
  useEffect(() => {
    if (lost && !away) retry();
  }, [lost, away]);
}
