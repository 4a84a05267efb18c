/** Pages and parts loaded when they are first needed. Preact's own lazy lives in its compat layer, which we do not ship. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Makes a component that loads itself; until then it draws nothing, after a failure it says so. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (component) => {
          loaded = component;
          redraw((n) => n + 1);
        },
        () => setFailed(true),
      );
    }, []);
    if (failed) return <p class="lazy-failed">This part of the page could not be loaded. Reload to try again.</p>;
    const Component = loaded;
    return Component ? <Component {...props} /> : null;
  };
}
