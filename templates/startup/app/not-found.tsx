import Link from 'next/link';

export default function NotFound() {
  return (
    <div className="mx-auto max-w-xl px-6 py-24 text-center">
      <h1 className="text-3xl font-bold tracking-tight">There is no such page</h1>
      <p className="mt-3 text-muted">The address may be old, or have a typing mistake.</p>
      <Link href="/" className="button mt-8">
        To the start
      </Link>
    </div>
  );
}
