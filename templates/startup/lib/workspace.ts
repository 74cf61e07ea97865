import { randomUUID } from 'node:crypto';
import { cookies, headers } from 'next/headers';

const NAME = 'workspace';
const YEAR = 60 * 60 * 24 * 365;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The visitor's workspace. Each browser has one of its own, named by a random cookie that no script can read; replace this
 * by a sign-in when people should find their entries on another device.
 */
export function workspace(): string {
  const known = cookies().get(NAME)?.value;
  if (known && UUID.test(known)) return known;
  const id = randomUUID();
  cookies().set(NAME, id, {
    httpOnly: true,
    sameSite: 'lax',
    secure: headers().get('x-forwarded-proto') === 'https',
    path: '/',
    maxAge: YEAR,
  });
  return id;
}
