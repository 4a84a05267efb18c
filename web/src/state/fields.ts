/** The fields of the filter language, asked for once: they do not change while the server runs. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { listFields } from "../api/calls";
import type { FieldItem } from "../api/client";

const fields = signal<FieldItem[]>([]);

/** The fields; none until they have arrived. */
export function useFields(): FieldItem[] {
  useEffect(() => {
    if (fields.value.length === 0) listFields().then((reply) => (fields.value = reply.items), () => undefined);
  }, []);
  return fields.value;
}
