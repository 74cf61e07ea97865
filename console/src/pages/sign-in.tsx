// Signing in: by a wallet in the browser, or with a key.

import { useEffect, useState } from "preact/hooks";
import { go } from "../routes.ts";
import { session, signInByWallet, signInWith, signOut, wallet } from "../session.ts";
import { texts } from "../texts.ts";
import { Action, Button, Field, Tag, wordsOf } from "../ui/parts.tsx";

const t = texts.signIn;

export default function SignIn() {
  const now = session.value;
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const [isSent, setIsSent] = useState(false);

  useEffect(() => {
    if (isSent && (now.state === "user" || now.state === "operator")) go(now.state === "operator" ? "#/operate" : "#/");
  }, [now.state, isSent]);

  async function byWallet() {
    setBusy(true);
    setError(undefined);
    try {
      await signInByWallet();
      setIsSent(true);
    } catch (error) {
      setError(wordsOf(error));
    } finally {
      setBusy(false);
    }
  }

  const isSignedIn = now.state === "operator" || (now.state === "user" && now.me.credential !== "development");
  return (
    <div class="page narrow-page">
      <h1>{t.title}</h1>
      <p class="lead">{t.lead}</p>
      {now.state === "user" && now.me.credential === "development" && <p class="note"><Tag tone="good">{t.development}</Tag> {t.developmentWords}</p>}
      {now.state === "nobody" && now.note && <p class="note warn" role="alert">{now.note}</p>}
      {isSignedIn && <p class="row"><span>{t.already}</span><Action run={signOut}>{t.out}</Action></p>}
      <section class="card pad" aria-labelledby="by-wallet">
        <h2 id="by-wallet">{t.byWallet}</h2>
        <p class="soft">{wallet() ? t.byWalletWords : t.noWallet}</p>
        <Button look="primary" icon="wallet" busy={busy} disabled={!wallet()} onClick={byWallet}>{t.connect}</Button>
        {error && <p class="hint bad" role="alert" dir="auto">{error}</p>}
      </section>
      <section class="card pad" aria-labelledby="by-key">
        <h2 id="by-key">{t.byKey}</h2>
        <form onSubmit={(event) => { event.preventDefault(); if (key.trim()) { setIsSent(true); void signInWith(key); setKey(""); } }}>
          <Field label={t.key} type="password" autocomplete="off" spellcheck={false} value={key} placeholder="hk_live_…" hint={t.keyHint} onInput={(event) => setKey(event.currentTarget.value)} />
          <Button type="submit" icon="key" disabled={key.trim() === ""}>{t.use}</Button>
        </form>
      </section>
    </div>
  );
}
