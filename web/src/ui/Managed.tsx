/** A card with things that people make, change and remove: loading, the two dialogs, and loading again. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Await, Card, Empty } from "./figures";
import { Confirm } from "./form";
import { Button } from "./kit";
import { useLoad } from "./useLoad";

export interface Acts<T> {
  edit: (item: T) => void;
  remove: (item: T) => void;
}

interface Props<T> {
  title: string;
  note: ComponentChildren;
  /** Names the button that adds one. */
  add: string;
  /** Asked anew whenever this changes; empty: not yet. */
  of?: string;
  load: (signal: AbortSignal) => Promise<{ items: T[] }>;
  /** Says what these things are for, where there are none. */
  empty: ComponentChildren;
  children: (items: T[], acts: Acts<T>) => ComponentChildren;
  /** The dialog for a new one (null) or one that is to be changed. */
  form: (item: T | null, close: () => void, saved: () => void) => ComponentChildren;
  removal: (item: T) => { title: string; doing?: string; words: ComponentChildren; act: () => Promise<unknown> };
}

export function Managed<T>({ title, note, add, of = "all", load, empty, children, form, removal }: Props<T>) {
  const [stamp, setStamp] = useState(1);
  const [edited, setEdited] = useState<{ item: T | null } | null>(null);
  const [removed, setRemoved] = useState<T | null>(null);
  const found = useLoad(of && `${of}|${stamp}`, load);
  const again = () => {
    setEdited(null);
    setRemoved(null);
    setStamp((n) => n + 1);
  };
  const asked = removed === null ? null : removal(removed);
  return (
    <Card
      title={title}
      note={note}
      actions={
        <Button look="outline" icon="plus" onClick={() => setEdited({ item: null })}>
          {add}
        </Button>
      }
    >
      <Await of={found} onRetry={again}>
        {(list) => (list.items.length === 0 ? <Empty>{empty}</Empty> : children(list.items, { edit: (item) => setEdited({ item }), remove: setRemoved }))}
      </Await>
      {edited && form(edited.item, () => setEdited(null), again)}
      {asked && (
        <Confirm title={asked.title} doing={asked.doing ?? "Delete"} act={asked.act} onClose={() => setRemoved(null)} onDone={again}>
          {asked.words}
        </Confirm>
      )}
    </Card>
  );
}
