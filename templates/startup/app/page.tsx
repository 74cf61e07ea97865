import Link from 'next/link';
import WaitlistForm from '@/components/WaitlistForm';
import { site } from '@/lib/site';

export default function Home() {
  return (
    <div className="mx-auto max-w-5xl px-6">
      <section className="grid items-center gap-12 py-16 md:grid-cols-[3fr_2fr] md:py-24">
        <div>
          <h1 dir="auto" className="text-balance break-words text-4xl font-extrabold leading-tight tracking-tight md:text-5xl">
            {site.tagline}
          </h1>
          <p dir="auto" className="mt-6 max-w-xl text-lg leading-relaxed text-muted">
            {site.lead}
          </p>
          <div className="mt-8 flex flex-wrap gap-3">
            <Link href="/workspace" className="button">
              Try it now
            </Link>
            <a href="#news" className="button-quiet">
              Get news
            </a>
          </div>
        </div>
        <Preview />
      </section>

      <section aria-labelledby="features" className="border-t border-line py-16">
        <h2 id="features" className="text-2xl font-bold tracking-tight">
          What it does
        </h2>
        <ul className="mt-8 grid gap-6 md:grid-cols-3">
          {site.features.map((feature) => (
            <li key={feature.title} className="card">
              <h3 dir="auto" className="font-bold">
                {feature.title}
              </h3>
              <p dir="auto" className="mt-2 leading-relaxed text-muted">
                {feature.text}
              </p>
            </li>
          ))}
        </ul>
      </section>

      <section id="news" aria-labelledby="news-title" className="border-t border-line py-16">
        <div className="card mx-auto max-w-2xl md:p-10">
          <h2 id="news-title" className="text-2xl font-bold tracking-tight">
            Hear when something new is ready
          </h2>
          <p className="mt-2 text-muted">One short message per release, and nothing else.</p>
          <WaitlistForm />
        </div>
      </section>
    </div>
  );
}

/** The workspace in small: one line for each status. */
function Preview() {
  return (
    <div aria-hidden="true" className="card shadow-xl shadow-black/5">
      <p className="text-sm font-semibold capitalize text-muted" dir="auto">
        {site.nouns}
      </p>
      <ul className="mt-4 space-y-3">
        {site.statuses.map((status, index) => (
          <li key={status} className="flex items-center justify-between rounded-lg border border-line px-4 py-3">
            <span className="h-2.5 rounded-full bg-line" style={{ width: `${48 - index * 10}%` }} />
            <span className={index === 0 ? 'rounded-full bg-accent px-3 py-0.5 text-sm text-white' : 'text-sm text-muted'}>
              {status}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
