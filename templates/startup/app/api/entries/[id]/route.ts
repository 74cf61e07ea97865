import { NextResponse } from 'next/server';
import { database } from '@/lib/database';
import { parseChange } from '@/lib/entries';
import { body, failure, refusal } from '@/lib/http';
import { workspace } from '@/lib/workspace';

type Context = { params: { id: string } };

const MISSING = 'There is no such entry.';

/** Changes an entry: any of `{title, detail, status}`. */
export async function PATCH(request: Request, { params }: Context) {
  const change = parseChange(await body(request));
  if (!change.ok) return refusal(change.error);
  try {
    const entry = await database().change(workspace(), params.id, change.value);
    return entry ? NextResponse.json({ entry }) : refusal(MISSING, 404);
  } catch (error) {
    return failure(error);
  }
}

/** Deletes an entry. */
export async function DELETE(_request: Request, { params }: Context) {
  try {
    const gone = await database().remove(workspace(), params.id);
    return gone ? new NextResponse(null, { status: 204 }) : refusal(MISSING, 404);
  } catch (error) {
    return failure(error);
  }
}
