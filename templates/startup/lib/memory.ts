import { randomUUID } from 'node:crypto';
import type { Entry } from '@/lib/entries';
import { MAX_ENTRIES, type Store } from '@/lib/store';

const MAX_WORKSPACES = 1000;
const MAX_EMAILS = 10_000;

type Memory = { workspaces: Map<string, Entry[]>; emails: Set<string> };

// On globalThis, because Next.js loads this module anew for each route and after each change in development.
const shared = globalThis as typeof globalThis & { memory?: Memory };

/** A store in the server's memory: gone when it restarts, and bounded so that it cannot fill it. */
export function memoryStore(): Store {
  const memory: Memory = (shared.memory ??= { workspaces: new Map(), emails: new Set() });
  const entriesOf = (workspace: string): Entry[] => memory.workspaces.get(workspace) ?? [];

  return {
    async list(workspace) {
      return [...entriesOf(workspace)];
    },
    async add(workspace, entry) {
      const entries = entriesOf(workspace);
      if (entries.length >= MAX_ENTRIES) return null;
      const added = { ...entry, id: randomUUID(), createdAt: new Date().toISOString() };
      memory.workspaces.delete(workspace);
      memory.workspaces.set(workspace, [added, ...entries]);
      const [oldest] = memory.workspaces.keys();
      if (memory.workspaces.size > MAX_WORKSPACES && oldest) memory.workspaces.delete(oldest);
      return added;
    },
    async change(workspace, id, change) {
      const entry = entriesOf(workspace).find((entry) => entry.id === id);
      return entry ? Object.assign(entry, change) : null;
    },
    async remove(workspace, id) {
      const entries = entriesOf(workspace);
      const rest = entries.filter((entry) => entry.id !== id);
      memory.workspaces.set(workspace, rest);
      return rest.length < entries.length;
    },
    async subscribe(email) {
      if (memory.emails.size < MAX_EMAILS) memory.emails.add(email);
    },
  };
}
