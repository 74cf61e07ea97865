// The frame around every page, and which page that is.

import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { place, signInFor, to } from "./routes.ts";
import { mayOperate, me, refresh, session } from "./session.ts";
import { texts } from "./texts.ts";
import { theme, type Theme } from "./theme.ts";
import { Icon, Mark, type IconName } from "./ui/icon.tsx";
import { Failure, Loading, Toasts } from "./ui/parts.tsx";
import { short } from "./format.ts";

interface PageProps {
  parts: string[];
}

interface Section {
  name: string;
  title: string;
  icon: IconName;
  /** Whether one must be signed in. */
  isPrivate: boolean;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
}

const pages = {
  home: () => import("./pages/build/home.tsx"),
  build: () => import("./pages/build/page.tsx").then(({ default: Page }) => ({ default: ({ parts }: PageProps) => <Page key={parts[1] ?? ""} id={parts[1] ?? ""} /> })),
};

const SECTIONS: readonly Section[] = [
  { name: "build", title: texts.nav.build, icon: "build", isPrivate: true, load: pages.build },
  { name: "apps", title: texts.nav.apps, icon: "apps", isPrivate: true, load: () => import("./pages/apps/page.tsx") },
  { name: "models", title: texts.nav.models, icon: "models", isPrivate: true, load: () => import("./pages/models/page.tsx") },
  { name: "startups", title: texts.nav.startups, icon: "startup", isPrivate: true, load: () => import("./pages/startups/page.tsx") },
  { name: "discover", title: texts.nav.discover, icon: "discover", isPrivate: false, load: () => import("./pages/discover.tsx") },
  { name: "skills", title: texts.nav.skills, icon: "skills", isPrivate: false, load: () => import("./pages/skills.tsx") },
  { name: "fleet", title: texts.nav.fleet, icon: "fleet", isPrivate: true, load: () => import("./pages/fleet/page.tsx") },
  { name: "account", title: texts.nav.account, icon: "account", isPrivate: true, load: () => import("./pages/account/page.tsx") },
  { name: "operate", title: texts.nav.operate, icon: "operate", isPrivate: true, load: () => import("./pages/operate.tsx") },
];

const HOME: Section = { name: "build", title: texts.nav.build, icon: "build", isPrivate: false, load: pages.home };
const SIGN_IN: Section = { name: "sign-in", title: texts.signIn.title, icon: "key", isPrivate: false, load: () => import("./pages/sign-in.tsx") };

function sectionOf(parts: string[]): Section | undefined {
  if (parts.length === 0 || (parts[0] === "build" && parts.length === 1)) return HOME;
  return [...SECTIONS, SIGN_IN].find(({ name }) => name === parts[0]);
}

export function App() {
  const { parts } = place.value;
  const section = sectionOf(parts);
  const isWorkspace = (section?.name === "build" || section?.name === "apps") && parts.length > 1;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const address = parts.slice(0, 2).join("/");

  // A new page begins at its top, also for whoever hears it.
  useLayoutEffect(() => {
    if (section && !isWorkspace) document.title = section === HOME ? "Hatch" : `${section.title} · Hatch`;
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    if (!isFirst.current) scrollTo(0, 0);
    isFirst.current = false;
  }, [address]);

  return (
    <div class={`shell ${isWorkspace ? "with-workspace" : ""}`}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{texts.skip}</a>
      <Nav current={section?.name} />
      <main id="main" ref={main} tabIndex={-1}>
        {section ? <Page section={section} parts={parts} /> : <NotFound />}
      </main>
      <Toasts />
    </div>
  );
}

function Page({ section, parts }: { section: Section; parts: string[] }) {
  const [loaded, setLoaded] = useState<{ of: Section; page?: ComponentType<PageProps>; error?: unknown }>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isGone = false;
    section.load().then(
      ({ default: page }) => isGone || setLoaded({ of: section, page }),
      (error: unknown) => isGone || setLoaded({ of: section, error }),
    );
    return () => {
      isGone = true;
    };
  }, [section, turn]);

  const { state } = session.value;
  if (section.isPrivate && state === "loading") return <div class="page"><Loading /></div>;
  if (section.isPrivate && session.value.state === "unreachable") return <div class="page"><Failure error={session.value.error} retry={() => void refresh()} /></div>;
  if (section.isPrivate && state === "nobody") return <SignInFirst />;
  if (loaded?.of !== section) return <div class="page"><Loading /></div>;
  // A page that cannot be loaded is most often one of an older version of the console.
  if (!loaded.page) return <div class="page"><Failure error={new Error(texts.outdated)} retry={() => (turn > 0 ? location.reload() : setTurn(turn + 1))} /></div>;
  const Loaded = loaded.page;
  return <Loaded parts={parts} />;
}

function SignInFirst() {
  return (
    <div class="page narrow-page">
      <h1>{texts.signIn.first}</h1>
      <p class="lead">{texts.signIn.firstWords}</p>
      <p><a class="button primary" href="#/sign-in" onClick={() => signInFor(location.hash)}><Icon name="key" /> <span>{texts.signIn.title}</span></a></p>
    </div>
  );
}

function NotFound() {
  return (
    <div class="page narrow-page">
      <h1>{texts.notFound}</h1>
      <p class="lead">{texts.notFoundWords}</p>
      <p><a class="button primary" href="#/">{texts.toStart}</a></p>
    </div>
  );
}

function Nav({ current }: { current: string | undefined }) {
  const shown = SECTIONS.filter(({ name }) => name !== "operate" || mayOperate.value);
  const rail = useRef<HTMLElement>(null);
  // On a phone there are more than fit: the one that is open is seen.
  useEffect(() => rail.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [current]);
  return (
    <header class="rail" ref={rail}>
      <a class="brand" href="#/" aria-label={texts.nav.home}><Mark /><span>Hatch</span></a>
      <nav aria-label={texts.nav.label}>
        <ul>
          {shown.map(({ name, title, icon }) => (
            <li key={name} class={`nav-${name}`}>
              <a href={name === "build" ? "#/" : to([name])} aria-current={name === current ? "page" : undefined}><Icon name={icon} size={20} /><span>{title}</span></a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="rail-end">
        <a class="rail-link" href="/docs"><Icon name="docs" size={20} /><span>{texts.nav.docs}</span></a>
        <ThemeChoice />
        <Who />
      </div>
    </header>
  );
}

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const THEME_ICONS = { system: "system", light: "sun", dark: "moon" } as const;

function ThemeChoice() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  return (
    <button type="button" class="rail-link" onClick={() => (theme.value = next)} aria-label={texts.nav.themeTo(texts.nav.themes[theme.value], texts.nav.themes[next])}>
      <Icon name={THEME_ICONS[theme.value]} size={20} /><span>{texts.nav.themes[theme.value]}</span>
    </button>
  );
}

function Who() {
  const { state } = session.value;
  if (state === "loading" || state === "unreachable") return null;
  if (state === "nobody") return <a class="rail-link" href="#/sign-in"><Icon name="key" size={20} /><span>{texts.signIn.title}</span></a>;
  const who = me.value;
  const name = !who ? texts.nav.operator : who.credential === "development" ? texts.nav.developer : (who.name ?? who.email ?? short(who.wallet ?? who.id));
  return <a class="rail-link who" href={who ? "#/account" : "#/sign-in"} title={texts.nav.account}><span class="avatar" aria-hidden="true">{name.slice(0, 1).toUpperCase()}</span><span><bdi>{name}</bdi></span></a>;
}
