// One's account: keys, sessions, credentials of clouds, limits, and one's data.

import { useEffect, useState } from "preact/hooks";
import { ask, get } from "../../api/client.ts";
import { loadModels, offered } from "../../api/models.ts";
import type { ApiKey, Session, StoredCredentials } from "../../api/types.ts";
import { count, date, duration, short } from "../../format.ts";
import { to } from "../../routes.ts";
import { me, refresh, session, signInByWallet, signOut, wallet } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Load, ListEnd, useList, useLoad } from "../../ui/load.tsx";
import { Action, Button, Confirm, Copy, Dialog, Empty, Failure, Field, Tabs, Tag, Time } from "../../ui/parts.tsx";
import { saveFile } from "../../ui/save.ts";
import { NewKey } from "./new-key.tsx";

const t = texts.account;
const TABS = ["you", "keys", "sessions", "clouds", "data"] as const;

export default function Account({ parts }: { parts: string[] }) {
  const tab = TABS.find((name) => name === parts[1]) ?? "you";
  if (session.value.state === "operator") {
    return <div class="page"><h1>{t.heading}</h1><p class="lead">{t.operator}</p><Action run={() => signOut("#/sign-in")}>{texts.signIn.out}</Action></div>;
  }
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <Tabs label={t.heading} current={tab} tabs={TABS.map((name) => ({ id: name, title: t.tabs[name], href: to(["account", name]) }))} />
      {tab === "you" && <You />}
      {tab === "keys" && <Keys />}
      {tab === "sessions" && <Sessions />}
      {tab === "clouds" && <Credentials />}
      {tab === "data" && <Data />}
    </div>
  );
}

function You() {
  const who = me.value;
  if (!who) return null;
  return (
    <>
      <dl class="facts-grid section-head">
        <div><dt>{t.id}</dt><dd class="row"><code title={who.id}>{short(who.id)}</code><Copy text={who.id} label={t.copyId} /></dd></div>
        <div><dt>{t.signedInBy}</dt><dd>{t.credentials[who.credential]}</dd></div>
        <div><dt>{t.wallet}</dt><dd>{who.wallet ? <code title={who.wallet}>{short(who.wallet)}</code> : t.none}</dd></div>
        {who.email && <div><dt>{t.email}</dt><dd><bdi>{who.email}</bdi></dd></div>}
      </dl>
      {who.credential !== "development" && (
        <p class="row">
          {!who.wallet && wallet() && who.credential !== "key" && <Action icon="wallet" run={signInByWallet}>{t.link}</Action>}
          <Action run={() => signOut("#/sign-in")}>{texts.signIn.out}</Action>
        </p>
      )}
      <h2 class="section-head">{t.limits}</h2>
      {who.limits.length === 0 ? <p class="soft">{t.noLimits}</p> : (
        <ul class="rows">
          {who.limits.map(({ name, limit, used, resetsAt }) => (
            <li key={name} class="card pad">
              <div class="row spread"><label for={`limit-${name}`}>{t.limitNames[name as keyof typeof t.limitNames] ?? name}</label><span>{t.usedOf(count(used), count(limit))}</span></div>
              <progress id={`limit-${name}`} max={limit} value={used} />
              <p class="soft small">{t.resets(duration(Math.max(0, (Date.parse(resetsAt) - Date.now()) / 1000)))}</p>
            </li>
          ))}
        </ul>
      )}
      <p><Action look="quiet" icon="again" run={refresh}>{texts.reload}</Action></p>
    </>
  );
}

function Keys() {
  const keys = useList<ApiKey>("/auth/keys?limit=30");
  const [isMaking, setIsMaking] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey>();
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.keys}</h2><Button look="primary" icon="plus" onClick={() => setIsMaking(true)}>{t.newKey}</Button></div>
      <p class="soft">{t.keysWords}</p>
      <ul class="rows">
        {keys.items.map((key) => (
          <li key={key.id} class={`card pad row spread ${key.revokedAt ? "gone" : ""}`}>
            <span class="grow">
              <b dir="auto">{key.name}</b> <code class="soft">{key.hint}</code><br />
              <span class="soft small">{key.scopes.join(", ")}</span><br />
              <span class="soft small">{t.made} <Time of={key.createdAt} /> · {key.lastUsedAt ? <>{t.used} <Time of={key.lastUsedAt} /></> : t.neverUsed}{key.expiresAt && ` · ${t.expires(date(key.expiresAt))}`}</span>
            </span>
            {key.revokedAt ? <Tag>{t.revoked}</Tag> : <Button look="danger" onClick={() => setRevoked(key)}>{t.revoke}<span class="hidden"> <bdi>{key.name}</bdi></span></Button>}
          </li>
        ))}
      </ul>
      <ListEnd of={keys} empty={<Empty icon="key" title={t.noKeys}><p class="soft">{t.noKeysHint}</p></Empty>} />
      {isMaking && <NewAccountKey onClose={() => { setIsMaking(false); keys.reload(); }} />}
      {revoked && <Confirm title={t.revokeKey} words={t.revokeKeyWords(revoked.name)} action={t.revoke} onClose={() => setRevoked(undefined)} run={async () => { await ask("DELETE", `/auth/keys/${revoked.id}`); keys.reload(); }} />}
    </>
  );
}

const SCOPES = ["projects:read", "projects:write", "chat", "deploy", "gateway", "account"] as const;

function NewAccountKey({ onClose }: { onClose: () => void }) {
  const [scopes, setScopes] = useState<string[]>(["projects:read", "projects:write", "chat", "deploy"]);
  const set = (scope: string, isWanted: boolean) => setScopes(isWanted ? [...scopes, scope] : scopes.filter((each) => each !== scope));
  return (
    <NewKey rights={() => ({ scopes })} isReady={scopes.length > 0} onClose={onClose}>
      <fieldset class="checks"><legend>{t.mayDo}</legend>
        {SCOPES.map((scope) => (
          <label key={scope} class="check">
            <input type="checkbox" checked={scopes.includes(scope)} onChange={({ currentTarget: { checked } }) => set(scope, checked)} />
            <span><b>{scope}</b> <span class="soft">{t.scopes[scope]}</span></span>
          </label>
        ))}
      </fieldset>
    </NewKey>
  );
}

function Sessions() {
  const sessions = useList<Session>("/auth/sessions?limit=30");
  return (
    <>
      <h2 class="section-head">{t.tabs.sessions}</h2>
      <p class="soft">{t.sessionsWords}</p>
      <ul class="rows">
        {sessions.items.map(({ id, createdAt, expiresAt, endedAt }) => (
          <li key={id} class={`card pad row spread ${endedAt ? "gone" : ""}`}>
            <span class="grow"><b><Time of={createdAt} /></b><br /><span class="soft small">{endedAt ? <>{t.ended} <Time of={endedAt} /></> : t.expires(date(expiresAt))}</span></span>
            {endedAt ? <Tag>{t.endedTag}</Tag> : <Action look="danger" run={async () => { await ask("DELETE", `/auth/sessions/${id}`); sessions.reload(); await refresh(); }}>{t.end}</Action>}
          </li>
        ))}
      </ul>
      <ListEnd of={sessions} empty={<Empty icon="account" title={t.noSessions}><p class="soft">{t.noSessionsHint}</p></Empty>} />
    </>
  );
}

const CLOUDS = ["cloudflare", "vercel", "koyeb"] as const;
type Cloud = (typeof CLOUDS)[number];
/** Providers of models that take one's own key wherever Hatch runs; others are those that are stored, or that have models here. */
const PROVIDERS = ["anthropic", "openai"];

const isCloud = (target: string): target is Cloud => CLOUDS.some((cloud) => cloud === target);
const titleOf = (target: string): string => (isCloud(target) ? texts.deploy.targets[target] : (t.providers[target as keyof typeof t.providers] ?? target));

function Credentials() {
  const stored = useLoad((signal) => get<StoredCredentials[]>("/auth/credentials", signal), "credentials");
  const [edited, setEdited] = useState<string>();
  const [forgotten, setForgotten] = useState<string>();
  useEffect(() => void loadModels(), []);
  const rows = (targets: readonly string[], values: StoredCredentials[]) => (
    <ul class="rows">
      {targets.map((target) => {
        const own = values.find((each) => each.target === target);
        return (
          <li key={target} class="card pad row spread">
            <span class="grow"><b><bdi>{titleOf(target)}</bdi></b><br /><span class="soft small">{own ? <>{own.hint}{own.account && <> · <bdi>{own.account}</bdi></>} · <Time of={own.updatedAt} /></> : t.notStored}</span></span>
            <Button onClick={() => setEdited(target)}>{own ? t.replace : t.store}<span class="hidden"> {titleOf(target)}</span></Button>
            {own && <Button look="danger" onClick={() => setForgotten(target)}>{texts.delete}<span class="hidden"> {titleOf(target)}</span></Button>}
          </li>
        );
      })}
    </ul>
  );
  const providersOf = (values: StoredCredentials[]) =>
    [...new Set([...PROVIDERS, ...offered.value.map(({ provider }) => provider), ...values.map(({ target }) => target)])].filter((name) => name && name !== "sandbox" && !isCloud(name));
  return (
    <>
      <h2 class="section-head">{t.cloudsHead}</h2>
      <p class="soft">{t.cloudsWords}</p>
      <Load of={stored}>
        {(values) => (
          <>
            {rows(CLOUDS, values)}
            <h2 class="section-head">{t.providersHead}</h2>
            <p class="soft">{t.providersWords}</p>
            {rows(providersOf(values), values)}
          </>
        )}
      </Load>
      {edited && <StoreCredentials target={edited} onClose={() => setEdited(undefined)} onStored={() => { setEdited(undefined); stored.reload(); }} />}
      {forgotten && <Confirm title={t.forget} words={isCloud(forgotten) ? t.forgetWords : t.forgetKeyWords} action={texts.delete} onClose={() => setForgotten(undefined)} run={async () => { await ask("DELETE", `/auth/credentials/${encodeURIComponent(forgotten)}`); stored.reload(); }} />}
    </>
  );
}

function StoreCredentials({ target, onClose, onStored }: { target: string; onClose: () => void; onStored: () => void }) {
  const [token, setToken] = useState("");
  const [account, setAccount] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function store() {
    setBusy(true);
    setError(undefined);
    try {
      const more = account.trim() === "" ? {} : target === "vercel" ? { team: account.trim() } : { accountId: account.trim() };
      await ask("PUT", `/auth/credentials/${encodeURIComponent(target)}`, { body: { token: token.trim(), ...more } });
      onStored();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title={t.storeFor(titleOf(target))} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); if (!busy) void store(); }}>
        <Field label={isCloud(target) ? t.token : t.providerKey} type="password" autocomplete="off" required value={token} {...(isCloud(target) && { hint: t.tokenHints[target] })} onInput={(event) => setToken(event.currentTarget.value)} />
        {(target === "vercel" || target === "cloudflare") && <Field label={target === "vercel" ? t.team : t.accountId} value={account} required={target === "cloudflare"} spellcheck={false} onInput={(event) => setAccount(event.currentTarget.value)} />}
        {error !== undefined && <Failure error={error} />}
        <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button type="submit" look="primary" busy={busy}>{t.store}</Button></div>
      </form>
    </Dialog>
  );
}

function Data() {
  const who = me.value;
  const [isDeleting, setIsDeleting] = useState(false);
  async function take() {
    const response = await ask("GET", "/auth/export");
    const text = await response.text();
    // What breaks off is not all of it, and is no JSON.
    JSON.parse(text);
    saveFile(new Blob([text], { type: "application/json" }), "hatch-export.json");
  }
  return (
    <>
      <h2 class="section-head">{t.takeAlong}</h2>
      <p class="soft">{t.exportWords}</p>
      <Action icon="download" run={take} done={t.exported}>{t.export}</Action>
      <h2 class="section-head">{t.deleteAccount}</h2>
      <p class="soft">{t.deleteWords}</p>
      <Button look="danger" icon="trash" onClick={() => setIsDeleting(true)}>{t.deleteAccount}</Button>
      {isDeleting && who && <DeleteAccount id={who.id} onClose={() => setIsDeleting(false)} />}
    </>
  );
}

function DeleteAccount({ id, onClose }: { id: string; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function remove() {
    setBusy(true);
    try {
      await ask("DELETE", `/auth/me?confirm=${encodeURIComponent(typed.trim())}`);
      onClose();
      await signOut();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title={t.deleteAccount} onClose={onClose}>
      <p>{t.deleteSure}</p>
      <p><code>{id}</code></p>
      <Field label={t.typeId} value={typed} spellcheck={false} autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
      {error !== undefined && <Failure error={error} />}
      <div class="row end"><Button onClick={onClose}>{texts.cancel}</Button><Button look="danger" busy={busy} disabled={typed.trim() !== id} onClick={remove}>{t.deleteAccount}</Button></div>
    </Dialog>
  );
}
