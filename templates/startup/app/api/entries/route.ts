import { NextResponse } from 'next/server';
import { database } from '@/lib/database';
import { parseEntry } from '@/lib/entries';
import { body, failure, refusal } from '@/lib/http';
import { workspace } from '@/lib/workspace';

export const dynamic = 'force-dynamic';

/** The visitor's own entries, newest first. */
export async function GET() {
  try {
    return NextResponse.json({ entries: await database().list(workspace()) });
  } catch (error) {
    return failure(error);
  }
}

/** Adds an entry: `{title, detail?, status?}`. */
export async function POST(request: Request) {
  const entry = parseEntry(await body(request));
  if (!entry.ok) return refusal(entry.error);
  try {
    const added = await database().add(workspace(), entry.value);
    return added ? NextResponse.json({ entry: added }, { status: 201 }) : refusal('There is no room for more. Delete some first.', 409);
  } catch (error) {
    return failure(error);
  }
}
