/** Asks for a key where the server requires one. */
import { useState } from "preact/hooks";
import { login } from "../../api/calls";
import { ApiError, loginNeeded } from "../../api/client";
import { useTitle } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Mark } from "../../ui/Mark";

export function LoginPage({ onDone }: { onDone: () => Promise<void> }) {
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useTitle("Log in");
  const submit = async (event: Event) => {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget as HTMLFormElement).get("key") ?? "").trim();
    if (!key) return;
    setBusy(true);
    setError(null);
    try {
      await login(key);
      loginNeeded.value = false;
      await onDone();
    } catch (problem) {
      setError(problem instanceof ApiError ? problem : new ApiError(0, "unexpected", String(problem)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form class="login-card" onSubmit={submit}>
        <Mark />
        <h1>Log in to Spanhouse</h1>
        <p class="muted">This server asks for a key: the admin key it was started with, or a project's own.</p>
        <label class="field">
          <span>Key</span>
          <input name="key" type="password" autocomplete="current-password" required spellcheck={false} aria-invalid={error !== null} aria-describedby="login-error" autofocus />
        </label>
        <p id="login-error" class="field-error" role="alert">
          {error && (
            <>
              <Icon name="error" size={14} /> {sentence(error.message)}
            </>
          )}
        </p>
        <button type="submit" class="btn btn-primary btn-wide" disabled={busy}>
          {busy ? "Checking…" : "Log in"}
        </button>
      </form>
    </main>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
