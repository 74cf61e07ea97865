// The gateway's pages: try a model, see what was used, make keys, set what
// may pass.

import { to } from "../../routes.ts";
import { texts } from "../../texts.ts";
import { Tabs } from "../../ui/parts.tsx";
import { Guardrails } from "./guardrails.tsx";
import { GatewayKeys } from "./keys.tsx";
import { Playground } from "./playground.tsx";
import { UsagePage } from "./usage.tsx";

const t = texts.models;
const TABS = ["playground", "usage", "keys", "guardrails"] as const;
const ICONS = { playground: "chat", usage: "operate", keys: "key", guardrails: "shield" } as const;

export default function Models({ parts }: { parts: string[] }) {
  const tab = TABS.find((name) => name === parts[1]) ?? "playground";
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <Tabs label={t.heading} current={tab} tabs={TABS.map((name) => ({ id: name, title: t.tabs[name], icon: ICONS[name], href: to(["models", name]) }))} />
      {tab === "playground" && <Playground />}
      {tab === "usage" && <UsagePage />}
      {tab === "keys" && <GatewayKeys />}
      {tab === "guardrails" && <Guardrails />}
    </div>
  );
}
