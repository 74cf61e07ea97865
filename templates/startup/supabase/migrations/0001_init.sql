-- Run it in the SQL editor of your Supabase project, or with `supabase db push`.

create table entries (
  id uuid primary key default gen_random_uuid(),
  workspace uuid not null,
  title text not null check (char_length(title) between 1 and 120),
  detail text not null default '' check (char_length(detail) <= 500),
  status text not null,
  created_at timestamptz not null default now()
);

create index entries_by_workspace on entries (workspace, created_at desc);

create table waitlist (
  email text primary key,
  created_at timestamptz not null default now()
);

-- No policies: only the server, with the service role's key, reads and writes these.
alter table entries enable row level security;
alter table waitlist enable row level security;
