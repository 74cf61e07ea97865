import type { Metadata } from 'next';
import Link from 'next/link';
import type { CSSProperties, ReactNode } from 'react';
import { site } from '@/lib/site';
import './globals.css';

export const metadata: Metadata = {
  title: { default: site.name, template: `%s · ${site.name}` },
  description: site.tagline,
};

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" style={{ '--accent': site.accent } as CSSProperties}>
      <body className="flex min-h-screen flex-col font-sans antialiased">
        <header className="border-b border-line">
          <nav className="mx-auto flex max-w-5xl items-center justify-between gap-4 px-6 py-4">
            <Link href="/" dir="auto" className="truncate text-lg font-bold tracking-tight">
              {site.name}
            </Link>
            <Link href="/workspace" className="shrink-0 font-semibold text-link hover:underline">
              Open workspace
            </Link>
          </nav>
        </header>
        <main className="flex-1">{children}</main>
        <footer className="border-t border-line">
          <p dir="auto" className="mx-auto max-w-5xl px-6 py-8 text-sm text-muted">
            {site.name}. {site.tagline}
          </p>
        </footer>
      </body>
    </html>
  );
}
