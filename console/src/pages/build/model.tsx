// Which model writes, in a chat and for the agent: any that the gateway offers.

import { signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadModels, offered, type OfferedModel } from "../../api/models.ts";
import { me } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Choice, type Options } from "../../ui/parts.tsx";

const t = texts.build;

function remembered(name: string): Signal<string> {
  try {
    return signal(localStorage.getItem(name) ?? "");
  } catch {
    return signal("");
  }
}

export class ModelChoice {
  /** Empty is the Worker's own choice. */
  readonly chosen: Signal<string>;
  constructor(
    private readonly name: string,
    /** What can be chosen of what is offered. */
    readonly options: (models: OfferedModel[]) => Options,
  ) {
    this.chosen = remembered(name);
  }

  /** What is sent along; nothing for what is not offered any more. What is offered may not be known yet. */
  value(): string | undefined {
    const chosen = this.chosen.peek(), models = offered.peek();
    const isThere = models.length === 0 || flat(this.options(models)).some(([id]) => id === chosen);
    return isThere && chosen ? chosen : undefined;
  }

  choose(id: string): void {
    this.chosen.value = id;
    try {
      localStorage.setItem(this.name, id);
    } catch {
      // Then it is chosen for as long as the page is open.
    }
  }
}

const flat = (options: Options): readonly (readonly [string, string])[] => options.flatMap((option) => ("group" in option ? option.options : [option]));

/** What answers on a machine without any key. */
const isSandbox = ({ provider }: OfferedModel): boolean => provider === "sandbox";

/** Where the list is not known: the families, by the names that the API knows. */
const FAMILIES = ["sonnet-4.5", "opus-4.5", "haiku-4.5"] as const;

/** The Worker's own choice, and the models by their providers. */
const byProvider = (models: OfferedModel[]): Options => {
  const providers = [...new Set(models.filter((model) => !isSandbox(model)).map(({ provider }) => provider))].filter(Boolean);
  return [
    ["", models.some(isSandbox) && providers.length === 0 ? t.models.sandbox : t.models.default],
    ...providers.map((provider) => ({ group: provider, options: models.filter((model) => model.provider === provider).map(({ id, name }) => [id, name] as const) })),
  ];
};

export const chatModel = new ModelChoice("hatch.model", (models) =>
  models.length > 0 ? byProvider(models) : [["", t.models.default], ...FAMILIES.map((name) => [name, t.models[name]] as const)],
);

export const agentModel = new ModelChoice("hatch.agent-model", byProvider);

export function ModelPicker({ of }: { of: ModelChoice }) {
  const mayAsk = me.value?.scopes.includes("gateway") === true;
  useEffect(() => {
    if (mayAsk) void loadModels();
  }, [mayAsk]);
  const options = of.options(offered.value), chosen = of.chosen.value;
  const isThere = flat(options).some(([id]) => id === chosen);
  const isKept = !isThere && offered.value.length === 0;
  return <Choice label={t.model} isHidden value={isThere || isKept ? chosen : ""} onChange={(id) => of.choose(id)} options={isKept ? [...options, [chosen, chosen]] : options} />;
}
