import { NextResponse } from 'next/server';

/** A request's JSON, or `undefined` when it is none. */
export async function body(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    return undefined;
  }
}

/** Tells the visitor what to change. */
export function refusal(error: string, status = 400): NextResponse {
  return NextResponse.json({ error }, { status });
}

/** Logs what went wrong here, and does not tell the visitor our details. */
export function failure(error: unknown): NextResponse {
  console.error(error);
  return NextResponse.json({ error: 'That did not work. Please try again in a moment.' }, { status: 503 });
}
