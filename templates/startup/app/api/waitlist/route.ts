import { NextResponse } from 'next/server';
import { database } from '@/lib/database';
import { parseEmail } from '@/lib/entries';
import { body, failure, refusal } from '@/lib/http';

/** Adds an address to the list: `{email}`. Says the same whether or not it was there already. */
export async function POST(request: Request) {
  const email = parseEmail(await body(request));
  if (!email.ok) return refusal(email.error);
  try {
    await database().subscribe(email.value);
    return NextResponse.json({ ok: true }, { status: 201 });
  } catch (error) {
    return failure(error);
  }
}
