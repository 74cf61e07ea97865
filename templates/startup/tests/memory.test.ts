import { expect, it } from 'vitest';
import { memoryStore } from '@/lib/memory';
import { site } from '@/lib/site';
import { MAX_ENTRIES } from '@/lib/store';

const draft = (title: string) => ({ title, detail: '', status: site.statuses[0] });

it('lists the newest first', async () => {
  const store = memoryStore();
  await store.add('order', draft('one'));
  await store.add('order', draft('two'));
  expect((await store.list('order')).map((entry) => entry.title)).toEqual(['two', 'one']);
});

it('never shows one workspace to another', async () => {
  const store = memoryStore();
  const mine = await store.add('mine', draft('secret'));
  expect(await store.list('theirs')).toEqual([]);
  expect(await store.change('theirs', mine!.id, { title: 'taken' })).toBeNull();
  expect(await store.remove('theirs', mine!.id)).toBe(false);
  expect(await store.list('mine')).toEqual([mine]);
});

it('changes and removes an entry', async () => {
  const store = memoryStore();
  const added = await store.add('edit', draft('old'));
  expect(await store.change('edit', added!.id, { title: 'new' })).toMatchObject({ id: added!.id, title: 'new' });
  expect(await store.remove('edit', added!.id)).toBe(true);
  expect(await store.remove('edit', added!.id)).toBe(false);
});

it('is full at some point', async () => {
  const store = memoryStore();
  for (let count = 0; count < MAX_ENTRIES; count += 1) await store.add('full', draft(`${count}`));
  expect(await store.add('full', draft('one too many'))).toBeNull();
});
