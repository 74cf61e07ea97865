import { memoryStore } from '@/lib/memory';
import type { Store } from '@/lib/store';
import { isConfigured, supabaseStore } from '@/lib/supabase';

/** Supabase where it is configured, else the server's memory. */
export function database(): Store {
  return isConfigured() ? supabaseStore() : memoryStore();
}
