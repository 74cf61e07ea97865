// Keys for programs that ask models: what each may ask, how often, for how much.

import { useState } from "preact/hooks";
import { ask, get } from "../../api/client.ts";
import type { ApiKey, GatewayModel, KeyLimits, UsageRow } from "../../api/types.ts";
import { count, dollars } from "../../format.ts";
import { texts } from "../../texts.ts";
import { ListEnd, useList, useLoad } from "../../ui/load.tsx";
import { Button, Choice, Confirm, Empty, Field, Snippet, Tag, Time } from "../../ui/parts.tsx";
import { NewKey } from "../account/new-key.tsx";

const t = texts.models;

export function GatewayKeys() {
  const keys = useList<ApiKey>("/auth/keys?limit=100");
  const spent = useLoad((signal) => get<{ data: UsageRow[] }>("/v1/usage?group_by=key", signal), "keys");
  const [isMaking, setIsMaking] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey>();
  const shown = keys.items.filter(({ scopes }) => scopes.includes("gateway"));
  return (
    <>
      <div class="row spread section-head"><h2>{t.tabs.keys}</h2><Button look="primary" icon="plus" onClick={() => setIsMaking(true)}>{texts.account.newKey}</Button></div>
      <p class="soft">{t.keysWords}</p>
      <ul class="rows">
        {shown.map((key) => {
          const used = spent.value?.data.find(({ keyId }) => keyId === key.id);
          return (
            <li key={key.id} class={`card pad row spread ${key.revokedAt ? "gone" : ""}`}>
              <span class="grow">
                <b dir="auto">{key.name}</b> <code class="soft">{key.hint}</code><br />
                <span class="soft small">{limitsOf(key.gateway)}</span><br />
                <span class="soft small">{used ? t.usedIn30(count(used.requests), dollars(used.costMicroUsd)) : t.unusedIn30} · {texts.account.made} <Time of={key.createdAt} /></span>
              </span>
              {key.revokedAt ? <Tag>{texts.account.revoked}</Tag> : <Button look="danger" onClick={() => setRevoked(key)}>{texts.account.revoke}<span class="hidden"> <bdi>{key.name}</bdi></span></Button>}
            </li>
          );
        })}
      </ul>
      <ListEnd of={keys} empty={null} />
      {keys.isLoaded && shown.length === 0 && <Empty icon="key" title={texts.account.noKeys}><p class="soft">{t.noKeysHint}</p></Empty>}
      {isMaking && <NewGatewayKey onClose={() => { setIsMaking(false); keys.reload(); }} />}
      {revoked && <Confirm title={texts.account.revokeKey} words={texts.account.revokeKeyWords(revoked.name)} action={texts.account.revoke} onClose={() => setRevoked(undefined)} run={async () => { await ask("DELETE", `/auth/keys/${revoked.id}`); keys.reload(); }} />}
    </>
  );
}

function limitsOf(limits: KeyLimits | null): string {
  const { models, rpm, budget, lenient } = limits ?? {};
  const told = [
    models ? models.join(", ") : t.everyModel,
    ...(rpm ? [t.perMinute(count(rpm))] : []),
    ...(budget ? [t.budgets[budget.per](dollars(budget.microUsd))] : []),
    ...(lenient ? [t.isLenient] : []),
  ];
  return told.join(" · ");
}

function NewGatewayKey({ onClose }: { onClose: () => void }) {
  const models = useLoad((signal) => get<{ data: GatewayModel[] }>("/v1/models", signal), "models");
  const [allowed, setAllowed] = useState("");
  const [rpm, setRpm] = useState("");
  const [amount, setAmount] = useState("");
  const [lenient, setLenient] = useState(false);
  const [per, setPer] = useState<"day" | "month">("month");
  function rights() {
    const names = allowed.split(",").map((name) => name.trim()).filter(Boolean);
    const gateway: KeyLimits = {
      ...(names.length > 0 && { models: names }),
      ...(rpm && { rpm: Number(rpm) }),
      ...(amount && { budget: { microUsd: Math.round(Number(amount) * 1_000_000), per } }),
      ...(lenient && { lenient }),
    };
    return { scopes: ["gateway"], ...(Object.keys(gateway).length > 0 && { gateway }) };
  }
  const howToUse = (
    <>
      <p class="soft">{t.howToUse}</p>
      <Snippet text={`OPENAI_BASE_URL=${location.origin}/v1\nANTHROPIC_BASE_URL=${location.origin}`} label={t.addresses} />
    </>
  );
  return (
    <NewKey rights={rights} howToUse={howToUse} onClose={onClose}
      more={<Field label={t.rpm} type="number" min={1} max={100_000} value={rpm} placeholder={t.noLimit} onInput={(event) => setRpm(event.currentTarget.value)} />}>
      <Field label={t.allowed} value={allowed} placeholder={models.value?.data[0]?.id ?? "provider/*"} hint={t.allowedHint} spellcheck={false} onInput={(event) => setAllowed(event.currentTarget.value)} />
      <div class="columns even">
        <Field label={t.budgetOf} type="number" min={0} step="any" value={amount} placeholder={t.noLimit} onInput={(event) => setAmount(event.currentTarget.value)} />
        <Choice label={t.per} value={per} onChange={setPer} options={[["day", t.periods.day], ["month", t.periods.month]]} />
      </div>
      <label class="check"><input type="checkbox" checked={lenient} onChange={(event) => setLenient(event.currentTarget.checked)} /><span>{t.lenient}</span></label>
    </NewKey>
  );
}
