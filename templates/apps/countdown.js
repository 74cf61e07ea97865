// The next midnight that begins this month and day; without a day, thirty days from now.
function nextDate({ month, day }) {
  const now = new Date();
  if (!month) return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 30).getTime();
  const date = new Date(now.getFullYear(), month - 1, day);
  if (date <= now) date.setFullYear(now.getFullYear() + 1);
  return date.getTime();
}

let events = kept.read('countdown', app.events.map((event) => ({ name: event.name, when: nextDate(event) })));
let current = events[0];

function parts(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return { days: Math.floor(seconds / 86400), hours: Math.floor(seconds / 3600) % 24, minutes: Math.floor(seconds / 60) % 60, seconds: seconds % 60 };
}

function tick() {
  if (!current) return;
  const left = current.when - Date.now();
  const units = Object.entries(parts(left));
  [...$('#units').children].forEach((tile, i) => { tile.firstChild.textContent = String(units[i][1]).padStart(2, '0'); });
  const text = left > 0 ? `${Math.ceil(left / 86400000)} sleeps to go.` : `It is time: ${current.name}!`;
  if ($('#message').textContent !== text) $('#message').textContent = text;
}

function show() {
  kept.write('countdown', events);
  current = events.includes(current) ? current : events[0];
  $('#name').textContent = current ? current.name : 'Nothing to wait for';
  $('#date').textContent = current ? new Date(current.when).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }) : 'add one below';
  $('#units').replaceChildren(...Object.keys(parts(0)).map((unit) => make('div', {}, make('b', { textContent: '00' }), unit)));
  $('#message').textContent = '';
  $('#list').replaceChildren(...events.map((event) => make('li', {},
    make('span', { className: 'grow', textContent: event.name }), make('span', { className: 'tag', textContent: `${parts(event.when - Date.now()).days} days` }),
    make('button', { type: 'button', className: 'quiet', textContent: 'Show', 'aria-label': `Show ${event.name}`, onclick: () => { current = event; show(); } }),
    make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${event.name}`, onclick: () => { events = events.filter((other) => other !== event); show(); } }))));
  tick();
}

$('#add').onsubmit = (event) => {
  event.preventDefault();
  const { name, when } = event.target.elements;
  current = { name: name.value.trim() || 'Something', when: new Date(when.value).getTime() };
  events.push(current);
  events.sort((a, b) => a.when - b.when);
  event.target.reset();
  show();
};
setInterval(tick, 250);
show();
