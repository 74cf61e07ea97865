// A picture for what has none: the beginning of its name on a pattern that is
// always the same for the same thing.

/** The same small number for the same text. */
function seedOf(text: string): number {
  let seed = 2_166_136_261;
  for (const character of text) seed = Math.imul(seed ^ (character.codePointAt(0) ?? 0), 16_777_619) >>> 0;
  return seed;
}

export function Tile({ of, name }: { of: string; name: string }) {
  const seed = seedOf(of);
  const first = [...new Intl.Segmenter().segment(name.trim())][0]?.segment ?? "";
  return (
    <div class={`tile tone-${seed % 6}`} aria-hidden="true">
      <svg viewBox="0 0 160 90" preserveAspectRatio="xMidYMid slice">
        {[0, 1, 2].map((at) => {
          const bits = (seed >>> (at * 7)) & 127;
          return <circle key={at} cx={(bits * 13) % 160} cy={(bits * 29) % 90} r={22 + ((seed >>> (at * 3)) & 31)} />;
        })}
      </svg>
      <span>{first.toUpperCase()}</span>
    </div>
  );
}
