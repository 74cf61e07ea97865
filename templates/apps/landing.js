const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const kinds = ['All', ...new Set(app.offers.map((offer) => offer[0]))];
const order = new Map();
let kind = 'All';

const price = (amount) => (amount ? new Intl.NumberFormat(undefined, { style: 'currency', currency: 'EUR' }).format(amount) : 'Free');

function showOffers() {
  tabs($('#filter'), kinds.map((name) => [name, name]), kind, (to) => { kind = to; showOffers(); });
  const offers = app.offers.filter((offer) => kind === 'All' || offer[0] === kind);
  $('#cards').replaceChildren(...offers.map((offer, i) => {
    const [, title, text, amount] = offer;
    return make('article', { className: 'card', style: `--i:${i + 1}` },
      make('div', {}, make('h3', { textContent: title }), make('p', { className: 'soft', textContent: text })),
      make('div', { className: 'row apart' }, make('b', { textContent: price(amount) }),
        make('button', { type: 'button', textContent: app.verb, 'aria-label': `${app.verb}: ${title}`, onclick: () => count(offer, 1) })));
  }));
}

function count(offer, change) {
  const number = (order.get(offer) || 0) + change;
  if (number > 0) order.set(offer, number);
  else order.delete(offer);
  showOrder();
}

function showOrder() {
  $('#order').hidden = order.size === 0;
  $('#sum').textContent = price([...order].reduce((sum, [offer, number]) => sum + offer[3] * number, 0));
  $('#lines').replaceChildren(...[...order].map(([offer, number]) => make('li', {},
    make('span', { className: 'grow', textContent: `${number} × ${offer[1]}` }),
    make('button', { type: 'button', className: 'bare', textContent: '−', 'aria-label': `One ${offer[1]} fewer`, onclick: () => count(offer, -1) }),
    make('button', { type: 'button', className: 'bare', textContent: '+', 'aria-label': `One ${offer[1]} more`, onclick: () => count(offer, 1) }))));
  $('#form').elements.text.value = [...order].map(([offer, number]) => `${number} × ${offer[1]}`).join('\n');
}

function showHours() {
  const now = new Date();
  const today = app.hours[now.getDay()];
  const hour = now.getHours() + now.getMinutes() / 60;
  const text = ([from, to]) => `${from}:00 to ${to}:00`;
  $('#hours').replaceChildren(...days.map((day, i) => make('li', {},
    make('span', { className: 'grow', textContent: day }), make('span', { textContent: app.hours[i] ? text(app.hours[i]) : 'closed' }))));
  $('#open').textContent = today && hour >= today[0] && hour < today[1] ? 'Open now' : 'Closed right now';
}

$('#call').textContent = app.call;
$('#offer-title').textContent = app.offerTitle;
$('#story').textContent = app.story;
$('#faq').append(...app.faq.map(([question, text]) =>
  make('details', { className: 'card' }, make('summary', { textContent: question }), make('p', { textContent: text }))));
$('#clear').onclick = () => { order.clear(); showOrder(); };
$('#form').onsubmit = (event) => {
  event.preventDefault();
  const who = event.target.elements.who.value.trim();
  event.target.reset();
  order.clear();
  showOrder();
  $('#sent').textContent = `Thank you, ${who}. This preview has no mailbox yet, so nothing was sent.`;
};
showOffers();
showHours();
