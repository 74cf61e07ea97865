import type { Entry, NewEntry } from '@/lib/entries';

/** The most entries of a workspace. */
export const MAX_ENTRIES = 500;

/** Where entries are kept. Every call names the workspace, so that nobody meets another's entries. */
export interface Store {
  /** Newest first. */
  list(workspace: string): Promise<Entry[]>;
  /** `null` when the workspace is full. */
  add(workspace: string, entry: NewEntry): Promise<Entry | null>;
  /** `null` when the workspace has no such entry. */
  change(workspace: string, id: string, change: Partial<NewEntry>): Promise<Entry | null>;
  /** Whether there was one. */
  remove(workspace: string, id: string): Promise<boolean>;
  /** Doing it twice does it once. */
  subscribe(email: string): Promise<void>;
}
