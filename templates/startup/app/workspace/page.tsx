import type { Metadata } from 'next';
import Board from '@/components/Board';
import { site } from '@/lib/site';
import { isConfigured } from '@/lib/supabase';

export const metadata: Metadata = { title: 'Workspace' };
// Whether a database is configured is known when the server runs, not when it is built.
export const dynamic = 'force-dynamic';

export default function Workspace() {
  return (
    <div className="mx-auto max-w-5xl px-6 py-10">
      <h1 dir="auto" className="text-3xl font-bold capitalize tracking-tight">
        {site.nouns}
      </h1>
      {!isConfigured() && (
        <p role="note" className="mt-3 text-sm text-muted">
          Kept in the server&apos;s memory until it restarts. Set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY to keep them for
          good.
        </p>
      )}
      <Board />
    </div>
  );
}
