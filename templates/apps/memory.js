const shapes = {
  star: ['#e0a100', 'M12 2l3 7 7 .6-5.4 4.7L18.4 22 12 17.7 5.6 22l1.8-7.7L2 9.6 9 9z'],
  heart: ['#e0365a', 'M12 21C2 14 2 8 4.5 5.5 7 3 10.5 4 12 7c1.5-3 5-4 7.5-1.5C22 8 22 14 12 21z'],
  drop: ['#2484d6', 'M12 2c5 6 7 9 7 12a7 7 0 0 1-14 0c0-3 2-6 7-12z'],
  leaf: ['#2c9a4b', 'M4 20C3 9 10 3 21 3c0 11-6 18-15 15l6-8z'],
  moon: ['#7a63d9', 'M20 15A9 9 0 1 1 10 3a7 7 0 0 0 10 12z'],
  bolt: ['#e57a12', 'M13 1L4 14h6l-1 9 10-14h-7z'],
  ring: ['#14978f', 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 6a4 4 0 1 1 0 8 4 4 0 0 1 0-8z'],
  house: ['#a15c38', 'M12 3l10 9h-3v9h-5v-6h-4v6H5v-9H2z'],
  cross: ['#cf4fb1', 'M9 2h6v7h7v6h-7v7H9v-7H2V9h7z'],
  kite: ['#4b5ee4', 'M12 1l9 11-9 11-9-11z'],
  wave: ['#0f9bb8', 'M2 9c4-6 7 5 11 0s6-3 9-1v10H2z'],
  cup: ['#6f7a86', 'M3 5h14v3h4v7h-4a5 5 0 0 1-5 5H8a5 5 0 0 1-5-5z'],
};
const sizes = [[6, '12 cards', 4], [8, '16 cards', 4], [12, '24 cards', 6]];
let size = sizes[1];
let cards = [];
let open = [];
let moves = 0;
let began = null;

const clock = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;

function picture([colour, path]) {
  const holder = make('template', { innerHTML: `<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="${colour}" d="${path}"/></svg>` });
  return holder.content.firstChild;
}

function begin() {
  const names = Object.keys(shapes).slice(0, size[0]);
  cards = [...names, ...names].map((name) => ({ name, at: Math.random() })).sort((a, b) => a.at - b.at);
  [open, moves, began] = [[], 0, null];
  $('#status').textContent = 'Find the pairs.';
  $('#board').style.setProperty('--columns', size[2]);
  $('#board').replaceChildren(...cards.map((card) => {
    card.button = make('button', { type: 'button', onclick: () => turn(card) }, picture(shapes[card.name]));
    return card.button;
  }));
  show();
}

function turn(card) {
  if (card.found || open.includes(card)) return;
  began = began || Date.now();
  // The third card covers a pair that did not match.
  if (open.length === 2) open = [];
  open.push(card);
  if (open.length === 2) {
    moves += 1;
    if (open[0].name === open[1].name) {
      for (const one of open) one.found = true;
      open = [];
    }
  }
  if (cards.every((one) => one.found)) finish();
  show();
}

function finish() {
  const key = `memory.${size[0]}`;
  const best = kept.read(key, Infinity);
  $('#status').textContent = `All found in ${moves} moves and ${clock(Date.now() - began)}${moves < best ? ': your best yet!' : '.'}`;
  kept.write(key, Math.min(best, moves));
  began = null;
}

function show() {
  tabs($('#sizes'), sizes.map((one) => [one, one[1]]), size, (to) => { size = to; begin(); });
  $('#moves').textContent = moves;
  $('#best').textContent = kept.read(`memory.${size[0]}`, '–');
  cards.forEach((card, i) => {
    const up = card.found || open.includes(card);
    card.button.className = `${up ? 'up' : ''} ${card.found ? 'found' : ''}`;
    card.button.disabled = Boolean(card.found);
    card.button.setAttribute('aria-label', `Card ${i + 1}: ${up ? card.name : 'hidden'}`);
  });
}

$('#again').onclick = begin;
setInterval(() => { if (began) $('#time').textContent = clock(Date.now() - began); }, 500);
begin();
