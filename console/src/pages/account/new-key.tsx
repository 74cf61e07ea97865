// A key is made: its name, what it may, how long it lasts. It is shown once.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { json } from "../../api/client.ts";
import { texts } from "../../texts.ts";
import { Button, Dialog, Failure, Field, Snippet } from "../../ui/parts.tsx";

const t = texts.account;

export function NewKey({ rights, isReady = true, children, more, howToUse, onClose }: {
  /** What the key may, as `POST /auth/keys` takes it. */
  rights: () => Record<string, unknown>;
  isReady?: boolean;
  /** The fields that `rights` are made of. */
  children: ComponentChildren;
  /** A field beside that of the days. */
  more?: ComponentChildren;
  howToUse?: ComponentChildren;
  onClose: () => void;
}) {
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [made, setMade] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function make() {
    setBusy(true);
    setError(undefined);
    try {
      const body = { name: name.trim(), ...rights(), ...(days && { expiresInDays: Number(days) }) };
      const { key } = await json<{ key: string | null }>("POST", "/auth/keys", { body });
      setMade(key ?? "");
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  }
  if (made !== undefined) {
    return (
      <Dialog title={t.yourKey} onClose={onClose}>
        <p>{t.onlyOnce}</p>
        <Snippet text={made} label={t.yourKey} />
        {howToUse}
        <div class="row end"><Button look="primary" onClick={onClose}>{texts.done}</Button></div>
      </Dialog>
    );
  }
  const lasts = <Field label={t.days} type="number" min={1} max={3650} value={days} hint={t.daysHint} onInput={(event) => setDays(event.currentTarget.value)} />;
  return (
    <Dialog title={t.newKey} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); if (!busy) void make(); }}>
        <Field label={t.keyName} required maxLength={100} value={name} placeholder={t.keyNameExample} onInput={(event) => setName(event.currentTarget.value)} />
        {children}
        {more ? <div class="columns even">{more}{lasts}</div> : lasts}
        {error !== undefined && <Failure error={error} />}
        <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary" busy={busy} disabled={!isReady}>{t.makeKey}</Button></div>
      </form>
    </Dialog>
  );
}
