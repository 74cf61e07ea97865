import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import type { Entry } from '@/lib/entries';
import { MAX_ENTRIES, type Store } from '@/lib/store';

type Row = { id: string; title: string; detail: string; status: string; created_at: string };

const COLUMNS = 'id, title, detail, status, created_at';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether both variables are set. */
export function isConfigured(): boolean {
  return Boolean(process.env.SUPABASE_URL && process.env.SUPABASE_SERVICE_ROLE_KEY);
}

/**
 * A store in Supabase's Postgres; the tables are in supabase/migrations. The key never leaves the server: the tables have
 * row-level security and no policy, so that nobody reads them from a browser.
 */
export function supabaseStore(): Store {
  const supabase = client();
  const entries = () => supabase.from('entries');

  return {
    async list(workspace) {
      const { data, error } = await entries()
        .select(COLUMNS)
        .eq('workspace', workspace)
        .order('created_at', { ascending: false })
        .limit(MAX_ENTRIES);
      if (error) throw new Error(`Supabase could not list the entries: ${error.message}`);
      return (data as Row[]).map(fromRow);
    },
    async add(workspace, entry) {
      const { count, error: uncounted } = await entries().select('id', { count: 'exact', head: true }).eq('workspace', workspace);
      if (uncounted) throw new Error(`Supabase could not count the entries: ${uncounted.message}`);
      if ((count ?? 0) >= MAX_ENTRIES) return null;
      const { data, error } = await entries().insert({ ...entry, workspace }).select(COLUMNS).single();
      if (error) throw new Error(`Supabase could not add the entry: ${error.message}`);
      return fromRow(data as Row);
    },
    async change(workspace, id, change) {
      if (!UUID.test(id)) return null;
      const { data, error } = await entries().update(change).eq('workspace', workspace).eq('id', id).select(COLUMNS).maybeSingle();
      if (error) throw new Error(`Supabase could not change the entry: ${error.message}`);
      return data ? fromRow(data as Row) : null;
    },
    async remove(workspace, id) {
      if (!UUID.test(id)) return false;
      const { data, error } = await entries().delete().eq('workspace', workspace).eq('id', id).select('id');
      if (error) throw new Error(`Supabase could not delete the entry: ${error.message}`);
      return data.length > 0;
    },
    async subscribe(email) {
      const { error } = await supabase.from('waitlist').upsert({ email }, { onConflict: 'email', ignoreDuplicates: true });
      if (error) throw new Error(`Supabase could not keep the address: ${error.message}`);
    },
  };
}

function client(): SupabaseClient {
  const { SUPABASE_URL = '', SUPABASE_SERVICE_ROLE_KEY = '' } = process.env;
  return createClient(SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, { auth: { persistSession: false, autoRefreshToken: false } });
}

function fromRow({ created_at, ...row }: Row): Entry {
  return { ...row, createdAt: created_at };
}
