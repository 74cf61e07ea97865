import { describe, expect, it } from 'vitest';
import { DETAIL_LENGTH, TITLE_LENGTH, countByStatus, parseChange, parseEmail, parseEntry, search } from '@/lib/entries';
import { site } from '@/lib/site';

const entry = { id: '1', title: 'First', detail: 'blue', status: site.statuses[0], createdAt: '2026-01-01T00:00:00Z' };

describe('a new entry', () => {
  it('is trimmed and gets the first status', () => {
    expect(parseEntry({ title: '  First ' })).toEqual({
      ok: true,
      value: { title: 'First', detail: '', status: site.statuses[0] },
    });
  });

  it('needs a title', () => {
    for (const input of [undefined, null, 'text', [], {}, { title: '' }, { title: '  ' }, { title: 7 }]) {
      expect(parseEntry(input)).toMatchObject({ ok: false });
    }
  });

  it('has bounds', () => {
    expect(parseEntry({ title: 'a'.repeat(TITLE_LENGTH) })).toMatchObject({ ok: true });
    expect(parseEntry({ title: 'a'.repeat(TITLE_LENGTH + 1) })).toMatchObject({ ok: false });
    expect(parseEntry({ title: 'a', detail: 'b'.repeat(DETAIL_LENGTH + 1) })).toMatchObject({ ok: false });
    expect(parseEntry({ title: 'a', status: 'no such status' })).toMatchObject({ ok: false });
  });
});

describe('a change', () => {
  it('holds only what was sent', () => {
    expect(parseChange({ status: site.statuses[1], id: 'x' })).toEqual({ ok: true, value: { status: site.statuses[1] } });
    expect(parseChange({})).toMatchObject({ ok: false });
  });
});

describe('an e-mail address', () => {
  it('is trimmed and in lower case', () => {
    expect(parseEmail({ email: ' Ada@Example.com ' })).toEqual({ ok: true, value: 'ada@example.com' });
  });

  it('has one @ and a domain', () => {
    for (const email of ['', 'ada', 'ada@', '@example.com', 'a b@example.com', 'ada@example', 7]) {
      expect(parseEmail({ email })).toMatchObject({ ok: false });
    }
  });
});

describe('a list', () => {
  it('is counted by status, with zeros', () => {
    const [first, ...others] = site.statuses;
    expect(countByStatus([entry, entry])).toEqual({ [first]: 2, ...Object.fromEntries(others.map((name) => [name, 0])) });
  });

  it('is searched in titles and details, whatever the case', () => {
    expect(search([entry], 'BLUE')).toEqual([entry]);
    expect(search([entry], ' first ')).toEqual([entry]);
    expect(search([entry], 'red')).toEqual([]);
  });
});
