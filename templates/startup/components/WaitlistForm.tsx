'use client';

import { type FormEvent, useState } from 'react';
import { send } from '@/components/send';

export default function WaitlistForm() {
  const [email, setEmail] = useState('');
  const [message, setMessage] = useState('');
  const [isDone, setDone] = useState(false);
  const [isBusy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const answer = await send('POST', '/api/waitlist', { email });
    setBusy(false);
    setDone(answer.ok);
    setMessage(answer.ok ? 'Thank you. We will write to you.' : answer.error);
  }

  return (
    <form onSubmit={submit} className="mt-6" noValidate>
      {!isDone && (
        <div className="flex flex-col gap-3 sm:flex-row">
          <label className="sr-only" htmlFor="email">
            E-mail address
          </label>
          <input
            id="email"
            type="email"
            autoComplete="email"
            placeholder="you@example.com"
            className="field"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
          <button className="button shrink-0" disabled={isBusy}>
            Keep me posted
          </button>
        </div>
      )}
      <p role="status" className="mt-3 min-h-6 text-sm">
        {message}
      </p>
    </form>
  );
}
