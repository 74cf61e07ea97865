// What may go to a model, and what may come of it. Rules that there is no form
// for are kept, and can be written as JSON.

import { useId, useState } from "preact/hooks";
import { get, json } from "../../api/client.ts";
import type { GuardAction, GuardPolicy, GuardRules } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Load, useLoad } from "../../ui/load.tsx";
import { Action, Button, Choice, Field, say } from "../../ui/parts.tsx";

const t = texts.guardrails;
const ACTIONS = ["flag", "redact", "block"] as const;
const SIMPLE = ["secrets", "pii", "injection"] as const;
const SIDES = ["input", "output"] as const;

export function Guardrails() {
  const policy = useLoad((signal) => get<GuardPolicy>("/v1/guardrails", signal), "guardrails");
  return (
    <>
      <p class="soft">{t.lead}</p>
      <Load of={policy}>{(value) => <PolicyForm key={JSON.stringify(value)} saved={value} onSaved={policy.set} />}</Load>
    </>
  );
}

function PolicyForm({ saved, onSaved }: { saved: GuardPolicy; onSaved: (policy: GuardPolicy) => void }) {
  const [policy, setPolicy] = useState(saved);
  const [text, setText] = useState<string>();
  const id = useId();
  const isChanged = text !== undefined || JSON.stringify(policy) !== JSON.stringify(saved);
  async function save() {
    const body = text === undefined ? policy : (JSON.parse(text) as GuardPolicy);
    onSaved(await json<GuardPolicy>("PUT", "/v1/guardrails", { body }));
    say(t.saved);
  }
  return (
    <>
      <div class="sides">
        {SIDES.map((side) => <Side key={side} side={side} rules={policy[side]} isOff={text !== undefined} onChange={(rules) => setPolicy({ ...policy, [side]: rules })} />)}
      </div>
      <details class="card pad">
        <summary>{t.asJson}</summary>
        <div class="field">
          <label class="hidden" for={id}>{t.asJson}</label>
          <textarea id={id} class="code-field" rows={12} spellcheck={false} value={text ?? JSON.stringify(policy, null, 2)} onInput={(event) => setText(event.currentTarget.value)} />
          <p class="hint">{t.asJsonHint}</p>
        </div>
      </details>
      <div class="row end">
        {isChanged && <Button onClick={() => { setPolicy(saved); setText(undefined); }}>{texts.build.discard}</Button>}
        <Action look="primary" icon="check" disabled={!isChanged} run={save}>{t.save}</Action>
      </div>
    </>
  );
}

const withNone = [["", t.off], ...ACTIONS.map((action) => [action, t.actions[action]] as const)] as const;

function Side({ side, rules, isOff, onChange }: { side: (typeof SIDES)[number]; rules: GuardRules; isOff: boolean; onChange: (rules: GuardRules) => void }) {
  const set = <K extends keyof GuardRules>(name: K, value: GuardRules[K] | undefined) => {
    const { [name]: _, ...others } = rules;
    onChange((value === undefined ? others : { ...others, [name]: value }) as GuardRules);
  };
  const [terms] = rules.terms ?? [];
  return (
    <fieldset class="card pad side" disabled={isOff}>
      <legend>{t.sides[side]}</legend>
      <p class="soft small">{t.sideWords[side]}</p>
      {SIMPLE.map((name) => (
        <div key={name} class="rule">
          <span class="grow"><b>{t.rules[name]}</b><br /><span class="soft small">{t.ruleWords[name]}</span></span>
          <Choice<GuardAction | ""> label={`${t.rules[name]}: ${t.sides[side]}`} isHidden value={rules[name]?.action ?? ""} options={withNone}
            onChange={(action) => set(name, action === "" ? undefined : { ...rules[name], action })} />
        </div>
      ))}
      <label class="check"><input type="checkbox" checked={rules.flagNamedSecrets ?? false} onChange={({ currentTarget: { checked } }) => set("flagNamedSecrets", checked || undefined)} /><span>{t.namedSecrets}</span></label>
      <div class="columns">
        <Field label={t.terms} value={terms?.terms.join(", ") ?? ""} hint={t.termsHint}
          onChange={({ currentTarget: { value } }) => {
            const words = value.split(",").map((word) => word.trim()).filter(Boolean);
            const others = (rules.terms ?? []).slice(1);
            const first = words.length > 0 ? [{ name: terms?.name ?? "words", action: terms?.action ?? ("block" as const), terms: words }] : [];
            set("terms", first.length + others.length > 0 ? [...first, ...others] : undefined);
          }} />
        <Choice<GuardAction> label={t.then} value={terms?.action ?? "block"} options={ACTIONS.map((action) => [action, t.actions[action]] as const)}
          onChange={(action) => terms && set("terms", [{ ...terms, action }, ...(rules.terms ?? []).slice(1)])} />
      </div>
      <Field label={t.maxBytes} type="number" min={1} value={rules.maxBytes?.bytes ?? ""} placeholder={texts.models.noLimit}
        onChange={({ currentTarget: { value } }) => set("maxBytes", value ? { action: rules.maxBytes?.action ?? "block", bytes: Number(value) } : undefined)} />
    </fieldset>
  );
}
