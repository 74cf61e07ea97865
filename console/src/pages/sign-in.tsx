// Signing in: by Stack Auth where it is configured, by a wallet in the
// browser, or with a key.

import { useEffect, useState } from "preact/hooks";
import { goToProvider, methods, sendCode, signInByCode, signInByReturn, type StackAuth } from "../api/stack-auth.ts";
import { takeReturn, type Return } from "../return.ts";
import { go, takeWanted } from "../routes.ts";
import { refused, session, signInByWallet, signInWith, signOut, wallet } from "../session.ts";
import { texts } from "../texts.ts";
import { useLoad } from "../ui/load.tsx";
import { Action, Button, Failure, Field, Tag, wordsOf } from "../ui/parts.tsx";
import { keepOver } from "./build/first.ts";

const t = texts.signIn;

export default function SignIn() {
  const now = session.value;
  const [isSent, setIsSent] = useState(false);
  const [came] = useState(takeReturn);

  useEffect(() => {
    if (isSent && !refused.value && (now.state === "user" || now.state === "operator")) go(takeWanted() ?? (now.state === "operator" ? "#/operate" : "#/"));
  }, [now.state, isSent]);

  /** Takes what signing in gives: a session or a key. */
  function enter(secret: string) {
    setIsSent(true);
    signInWith(secret);
  }

  const isSignedIn = now.state === "operator" || (now.state === "user" && now.me.credential !== "development");
  return (
    <div class="page narrow-page">
      <h1>{t.title}</h1>
      <p class="lead">{t.lead}</p>
      {now.state === "user" && now.me.credential === "development" && <p class="note"><Tag tone="good">{t.development}</Tag> {t.developmentWords}</p>}
      {refused.value && <p class="note warn" role="alert">{t.refused}</p>}
      {isSignedIn && <p class="row"><span>{t.already}</span><Action run={() => signOut("#/sign-in")}>{t.out}</Action></p>}
      {came && <CameBack came={came} onSession={enter} />}
      <ByStackAuth onSession={enter} />
      <ByWallet onSigned={() => setIsSent(true)} />
      <ByKey onKey={enter} />
    </div>
  );
}

/** Somebody who comes back from a provider's page, or by the link of a mail. */
function CameBack({ came, onSession }: { came: Return; onSession: (secret: string) => void }) {
  const [error, setError] = useState<unknown>();
  const [isBusy, setIsBusy] = useState(came.kind === "provider");
  const [isOver, setIsOver] = useState(false);

  async function finish(begin: () => Promise<string>) {
    setIsBusy(true);
    setError(undefined);
    try {
      onSession(await begin());
      setIsOver(true);
    } catch (error) {
      setError(error);
    } finally {
      setIsBusy(false);
    }
  }

  useEffect(() => {
    if (came.kind === "provider") void finish(() => signInByReturn(came.code, came.verifier));
  }, []);

  if (isOver) return null;
  if (came.kind === "failed") return <Failure error={new Error(came.reason === "state" ? t.otherBrowser : t.providerFailed(came.reason))} />;
  return (
    <section class="card pad" aria-label={t.came}>
      {isBusy && <p role="status">{t.finishing}</p>}
      {error !== undefined && <Failure error={error} />}
      {came.kind === "mail" && <><p>{t.cameByMail}</p><Button look="primary" icon="check" busy={isBusy} onClick={() => void finish(() => signInByCode(came.code))}>{t.finish}</Button></>}
    </section>
  );
}

function ByStackAuth({ onSession }: { onSession: (secret: string) => void }) {
  const found = useLoad(methods, "methods");
  if (found.error !== undefined) return <Failure error={found.error} retry={found.reload} />;
  const stack = found.value?.stackAuth;
  if (!stack || (!stack.email && stack.providers.length === 0)) return null;
  return (
    <section class="card pad" aria-labelledby="by-stack">
      <h2 id="by-stack">{t.byStack}</h2>
      {stack.providers.length > 0 && (
        <div class="row wrap providers">
          {stack.providers.map((provider) => <Provider key={provider} of={stack} provider={provider} />)}
        </div>
      )}
      {stack.email && <ByMail onSession={onSession} />}
    </section>
  );
}

function Provider({ of, provider }: { of: StackAuth; provider: string }) {
  const name = t.providers[provider as keyof typeof t.providers] ?? provider;
  return <Action icon="open" run={() => { keepOver(); return goToProvider(of, provider); }}>{t.goOnWith(name)}</Action>;
}

/** An address, and then the code that came there. */
function ByMail({ onSession }: { onSession: (secret: string) => void }) {
  const [email, setEmail] = useState("");
  const [nonce, setNonce] = useState<string>();
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  async function run(step: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    try {
      await step();
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  }
  const send = () => run(async () => {
    setNonce(await sendCode(email.trim()));
    setCode("");
  });
  const enter = () => run(async () => onSession(await signInByCode(code.trim(), nonce)));

  return (
    <form onSubmit={(event) => { event.preventDefault(); if (!busy) void (nonce === undefined ? send() : enter()); }}>
      {/* The cursor comes back to an address that is to be changed. The first one does not take it from the page. */}
      {nonce === undefined
        ? <Field label={t.email} type="email" required autofocus={email !== ""} autocomplete="email" value={email} onInput={(event) => setEmail(event.currentTarget.value)} />
        : (
          <>
            <p role="status">{t.codeSent(email.trim())}</p>
            <Field label={t.code} required autofocus inputMode="text" autocomplete="one-time-code" spellcheck={false} maxLength={6} value={code} onInput={(event) => setCode(event.currentTarget.value)} />
          </>
        )}
      {error !== undefined && <Failure error={error} />}
      {nonce === undefined
        ? <Button type="submit" icon="send" busy={busy} disabled={email.trim() === ""}>{t.sendCode}</Button>
        : (
          <div class="row wrap">
            <Button type="submit" look="primary" icon="check" busy={busy} disabled={code.trim().length < 6}>{t.title}</Button>
            <Button look="quiet" busy={busy} onClick={() => void send()}>{t.sendAgain}</Button>
            <Button look="quiet" onClick={() => { setNonce(undefined); setError(undefined); }}>{t.otherAddress}</Button>
          </div>
        )}
    </form>
  );
}

function ByWallet({ onSigned }: { onSigned: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  async function connect() {
    setBusy(true);
    setError(undefined);
    try {
      await signInByWallet();
      onSigned();
    } catch (error) {
      setError(wordsOf(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <section class="card pad" aria-labelledby="by-wallet">
      <h2 id="by-wallet">{t.byWallet}</h2>
      <p class="soft">{wallet() ? t.byWalletWords : t.noWallet}</p>
      <Button look="primary" icon="wallet" busy={busy} disabled={!wallet()} onClick={connect}>{t.connect}</Button>
      {error && <p class="hint bad" role="alert" dir="auto">{error}</p>}
    </section>
  );
}

function ByKey({ onKey }: { onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  return (
    <section class="card pad" aria-labelledby="by-key">
      <h2 id="by-key">{t.byKey}</h2>
      <form onSubmit={(event) => { event.preventDefault(); if (key.trim()) { onKey(key); setKey(""); } }}>
        <Field label={t.key} type="password" autocomplete="off" spellcheck={false} value={key} placeholder="hk_live_…" hint={t.keyHint} onInput={(event) => setKey(event.currentTarget.value)} />
        <Button type="submit" icon="key" disabled={key.trim() === ""}>{t.use}</Button>
      </form>
    </section>
  );
}
