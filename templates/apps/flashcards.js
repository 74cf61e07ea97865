let cards = kept.read('flashcards', app.cards.map(([front, back]) => ({ front, back, known: 0 })));
let side = 'front';
let turned = false;
let queue = [];

// Cards known least come first; each known answer sends a card further back.
function refill() {
  queue = [...cards].sort((a, b) => a.known - b.known);
}

function move(known) {
  const card = queue.shift();
  card.known = known ? card.known + 1 : 0;
  if (!known) queue.splice(2, 0, card);
  if (!queue.length) refill();
  turned = false;
  show();
}

function show() {
  kept.write('flashcards', cards);
  const card = queue[0];
  const learnt = cards.filter((one) => one.known > 0).length;
  $('#place').textContent = `${learnt} of ${cards.length} known, ${queue.length} left in this round`;
  $('#progress').style.width = `${cards.length ? (100 * learnt) / cards.length : 0}%`;
  tabs($('#sides'), [['front', 'Front first'], ['back', 'Back first']], side, (to) => { side = to; turned = false; show(); });
  const face = turned === (side === 'front') ? 'back' : 'front';
  $('#face').textContent = card ? card[face] : 'Add your first card';
  $('#hint').textContent = card && !turned ? 'Click or press space to turn' : '';
  $('#flip').className = turned ? 'face back' : 'face';
  for (const id of ['#again', '#known']) $(id).disabled = !card || !turned;
  $('#all-title').textContent = `All cards (${cards.length})`;
  $('#all').replaceChildren(...cards.map((one) => make('li', {},
    make('span', { className: 'grow' }, make('b', { textContent: one.front }), make('div', { className: 'soft', textContent: one.back })), make('span', { className: 'tag', textContent: `known ${one.known}×` }),
    make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${one.front}`, onclick: () => { cards = cards.filter((other) => other !== one); refill(); show(); } }))));
}

$('#flip').onclick = () => { if (queue.length) turned = !turned; show(); };
$('#again').onclick = () => move(false);
$('#known').onclick = () => move(true);
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const { front, back } = event.target.elements;
  const card = { front: front.value.trim(), back: back.value.trim(), known: 0 };
  cards.push(card);
  queue.unshift(card);
  turned = false;
  event.target.reset();
  front.focus();
  show();
};
refill();
show();
