// Components for Claude Code: find one, see what it brings, take it along.

import { useEffect, useState } from "preact/hooks";
import { get, json } from "../api/client.ts";
import type { Installation, Skill, SkillPage } from "../api/types.ts";
import { brief, count } from "../format.ts";
import { place, replace, to } from "../routes.ts";
import { texts } from "../texts.ts";
import { Icon } from "../ui/icon.tsx";
import { Load, useLoad } from "../ui/load.tsx";
import { Button, Copy, Empty, Failure, Loading, Snippet, Tag } from "../ui/parts.tsx";
import { SearchBox } from "../ui/search.tsx";

const t = texts.skills;
const LIMIT = 24;

export default function Skills({ parts }: { parts: string[] }) {
  return parts[1] ? <One id={parts[1]} /> : <All />;
}

function All() {
  const { query } = place.value;
  const words = query.get("q") ?? "", category = query.get("category") ?? "";
  const categories = useLoad((signal) => get<{ categories: { name: string; count: number }[] }>("/api/skillsmp/categories", signal), "categories");
  const [page, setPage] = useState(1);
  const [shown, setShown] = useState<{ key: string; skills: Skill[] }>({ key: "", skills: [] });
  const key = `${words}\n${category}`;
  useEffect(() => setPage(1), [key]);
  const found = useLoad(
    (signal) => get<SkillPage>(`/api/skillsmp?${new URLSearchParams({ limit: String(LIMIT), page: String(page), ...(words ? { q: words } : {}), ...(category ? { category } : {}) })}`, signal),
    `${key}\n${page}`,
  );
  useEffect(() => {
    const { value } = found;
    if (value) setShown((before) => ({ key, skills: value.page > 1 && before.key === key ? [...before.skills, ...value.skills] : value.skills }));
  }, [found.value]);
  const skills = shown.key === key ? shown.skills : [];
  const show = (q: string, of: string) => replace(to(["skills"], { q, category: of }));
  const options = [["", t.allCategories] as const, ...(categories.value?.categories ?? []).map(({ name, count: number }) => [name, `${name} (${count(number)})`] as const)];
  return (
    <div class="page">
      <h1>{t.heading}</h1>
      <p class="lead">{t.lead}</p>
      <SearchBox label={t.search} words={words} onSearch={(q) => show(q, category)} sortLabel={t.category} sort={category} sorts={options} onSort={(of) => show(words, of)} />
      {found.value && <p class="soft small" role="status">{t.found(count(found.value.total), found.value.total)}</p>}
      <ul class="grid">
        {skills.map((skill) => (
          <li key={skill.id} class="card pad link-card flat">
            <div class="row spread"><Tag>{skill.type}</Tag>{skill.stars > 0 && <span class="soft small row"><Icon name="star" size={14} /> {brief(skill.stars)}</span>}</div>
            <a class="name stretched" href={to(["skills", skill.id])} dir="auto">{skill.name}</a>
            <p class="soft clamp three" dir="auto">{skill.description}</p>
            {skill.installCommand && <p class="row raised command"><code><bdi>{skill.installCommand}</bdi></code><Copy text={skill.installCommand} label={t.copyCommandOf(skill.name)} /></p>}
          </li>
        ))}
      </ul>
      {found.error !== undefined && !found.isLoading ? <Failure error={found.error} retry={found.reload} />
        : found.isLoading ? <Loading />
        : skills.length === 0 ? <Empty icon="skills" title={t.nothing}><p class="soft">{t.otherWords}</p></Empty>
        : found.value?.has_more ? <div class="more"><Button onClick={() => setPage(page + 1)}>{texts.more}</Button></div> : null}
    </div>
  );
}

function One({ id }: { id: string }) {
  const skill = useLoad(() => json<Installation>("POST", `/api/skillsmp/${encodeURIComponent(id)}/install`), id);
  return (
    <div class="page">
      <p><a class="back" href="#/skills"><Icon name="back" size={16} /> {t.all}</a></p>
      <Load of={skill}>
        {({ skill, installCommand, instructions, installPath, files }) => (
          <>
            <div class="row spread"><h1 dir="auto">{skill.name}</h1><Tag>{skill.type}</Tag></div>
            <p class="lead" dir="auto">{skill.description}</p>
            <ul class="row wrap plain">{skill.categories.map((name) => <li key={name}><a href={to(["skills"], { category: name })}><Tag>{name}</Tag></a></li>)}</ul>
            {installCommand && <><h2 class="section-head">{t.install}</h2><Snippet text={installCommand} label={t.command} /></>}
            <ol>{instructions.map((line) => <li key={line} dir="auto">{line}</li>)}</ol>
            <p class="soft">{t.goesTo} <code><bdi>{installPath}</bdi></code></p>
            {skill.githubUrl && /^https:\/\//.test(skill.githubUrl) && <p><a href={skill.githubUrl} target="_blank" rel="noopener noreferrer nofollow">{t.source} <Icon name="open" size={14} /></a></p>}
            {files.map(({ path, content }) => <section key={path}><h2 class="section-head"><code><bdi>{path}</bdi></code></h2><Snippet text={content} label={path} /></section>)}
          </>
        )}
      </Load>
    </div>
  );
}
