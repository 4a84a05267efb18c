/** Forms in dialogs: fields with their notes, and saving with what the server says about it. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { capital } from "../state/format";
import { Button, Dialog, Notice, say } from "./kit";
import { toError } from "./useLoad";
import "../styles/form.css";

interface FieldProps {
  name: string;
  note?: ComponentChildren;
  wide?: boolean;
  children: (ids: { id: string; "aria-describedby": string | undefined }) => ComponentChildren;
}

/** A field with its name above and a note below. */
export function Field({ name, note, wide = false, children }: FieldProps) {
  const id = useId();
  return (
    <div class={wide ? "field form-wide" : "field"}>
      <label for={id}>{name}</label>
      {children({ id, "aria-describedby": note ? `${id}-note` : undefined })}
      {note && (
        <p class="field-note" id={`${id}-note`}>
          {note}
        </p>
      )}
    </div>
  );
}

interface TextProps {
  name: string;
  value: string;
  onInput: (value: string) => void;
  note?: ComponentChildren;
  wide?: boolean;
  type?: "text" | "number" | "password" | "url" | "datetime-local";
  placeholder?: string;
  required?: boolean;
  mono?: boolean;
  step?: string;
  min?: string;
  list?: string;
}

export function TextField({ name, value, onInput, note, wide, mono, ...rest }: TextProps) {
  return (
    <Field name={name} note={note} wide={wide}>
      {(ids) => <input {...ids} {...rest} step={rest.step ?? (rest.type === "number" ? "any" : undefined)} class={mono ? "text-input mono" : "text-input"} autocomplete="off" value={value} onInput={(event) => onInput(event.currentTarget.value)} />}
    </Field>
  );
}

export function SelectField<T extends string>({ name, value, options, onPick, note, wide }: { name: string; value: T; options: { value: T; name: string }[]; onPick: (value: T) => void; note?: ComponentChildren; wide?: boolean }) {
  return (
    <Field name={name} note={note} wide={wide}>
      {(ids) => (
        <select {...ids} class="select" value={value} onChange={(event) => onPick(event.currentTarget.value as T)}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField({ name, checked, onPick, note }: { name: string; checked: boolean; onPick: (checked: boolean) => void; note?: ComponentChildren }) {
  const id = useId();
  return (
    <div class="form-check form-wide">
      <label>
        <input type="checkbox" checked={checked} aria-describedby={note ? id : undefined} onChange={(event) => onPick(event.currentTarget.checked)} />
        {name}
      </label>
      {note && (
        <p id={id} class="muted small">
          {note}
        </p>
      )}
    </div>
  );
}

/** The values of a form's fields by name, and what binds each to its field. */
export function useFields<T extends Record<string, string | boolean>>(initial: T) {
  const [values, setValues] = useState(initial);
  const put = <K extends keyof T>(name: K) => (value: T[K]) => setValues((before) => ({ ...before, [name]: value }));
  return {
    values,
    text: <K extends keyof T>(name: K) => ({ value: values[name] as string, onInput: put(name) as (value: string) => void }),
    pick: <K extends keyof T>(name: K) => ({ value: values[name], onPick: put(name) }),
    check: <K extends keyof T>(name: K) => ({ checked: values[name] as boolean, onPick: put(name) as (checked: boolean) => void }),
  };
}

/** What a form does when it is sent: waits, then closes or says what was wrong. */
export function useSave<T>(act: () => Promise<T>, done: (saved: T) => void) {
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const save = async (event?: Event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      const saved = await act();
      setError(null);
      done(saved);
    } catch (thrown) {
      setError(toError(thrown));
    } finally {
      setBusy(false);
    }
  };
  return { save, error, busy };
}

/** What the server refused, and what to do. */
export function FormError({ error }: { error: ApiError | null }) {
  if (!error) return null;
  return (
    <Notice kind="error" title={capital(error.message)}>
      {error.hint && <p>{capital(error.hint)}</p>}
    </Notice>
  );
}

interface FormDialogProps<T> {
  title: string;
  /** Names the button that sends the form. */
  doing: string;
  act: () => Promise<T>;
  /** Said briefly when it is done. */
  said?: string;
  onClose: () => void;
  onDone: (saved: T) => void;
  class?: string;
  children: ComponentChildren;
}

/** A form in a dialog: its fields, what the server says about them, and the buttons. */
export function FormDialog<T>({ title, doing, act, said, onClose, onDone, class: className, children }: FormDialogProps<T>) {
  // What throws before it asks, because a field cannot be read, is told like a refusal.
  const { save, error, busy } = useSave(async () => act(), (saved) => {
    if (said) say(said);
    onDone(saved);
  });
  return (
    <Dialog title={title} onClose={onClose} class={className}>
      <form class="form" onSubmit={save}>
        {children}
        <FormError error={error} />
        <div class="form-end">
          <Button look="outline" onClick={onClose}>
            Cancel
          </Button>
          <Button look="primary" type="submit" disabled={busy}>
            {doing}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Asks once more before something is gone. */
export function Confirm<T>({ children, ...rest }: FormDialogProps<T>) {
  return (
    <FormDialog {...rest} class="dialog-small">
      <p class="form-wide">{children}</p>
    </FormDialog>
  );
}
