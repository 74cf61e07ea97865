const state = kept.read('expenses', { currency: 'EUR', budget: app.budget, rows: app.rows });
let shown = 'All';

const money = (amount) => new Intl.NumberFormat(undefined, { style: 'currency', currency: state.currency }).format(amount);
const sum = (rows) => rows.reduce((total, row) => total + row.amount, 0);

// Settles the balances with few payments: the one who owes most pays the one who is owed most.
function settle(rows) {
  const paid = {};
  for (const row of rows) paid[row.who] = (paid[row.who] || 0) + row.amount;
  const people = Object.keys(paid);
  const share = sum(rows) / people.length;
  const open = people.map((who) => ({ who, amount: paid[who] - share }));
  const debts = [];
  for (let turn = 0; turn < people.length; turn += 1) {
    open.sort((a, b) => a.amount - b.amount);
    const [from, to] = [open[0], open[open.length - 1]];
    const amount = Math.min(-from.amount, to.amount);
    if (amount < 0.005) break;
    from.amount += amount;
    to.amount -= amount;
    debts.push({ from: from.who, to: to.who, amount });
  }
  return { people, debts };
}

function show() {
  kept.write('expenses', state);
  const spent = sum(state.rows);
  const left = state.budget - spent;
  $('#total').textContent = money(spent);
  $('#left').textContent = money(Math.abs(left));
  $('#left-text').textContent = left < 0 ? 'over budget' : 'left';
  $('#count').textContent = state.rows.length;
  $('#used').style.width = `${state.budget > 0 ? Math.min(100, (100 * spent) / state.budget) : 0}%`;

  const used = app.categories.filter((category) => state.rows.some((row) => row.category === category));
  if (shown !== 'All' && !used.includes(shown)) shown = 'All';
  tabs($('#filter'), ['All', ...used].map((name) => [name, name]), shown, (name) => { shown = name; show(); });
  $('#chart').replaceChildren(...used.map((category) => {
    const amount = sum(state.rows.filter((row) => row.category === category));
    return make('div', {}, make('span', { textContent: category }),
      make('span', { className: 'bar' }, make('i', { style: `width:${(100 * amount) / spent}%` })), make('b', { textContent: money(amount) }));
  }));

  const rows = state.rows.filter((row) => shown === 'All' || row.category === shown);
  $('#list').replaceChildren(...rows.map((row) => make('li', {},
    make('span', { className: 'grow' }, make('div', { textContent: row.what }), make('small', { textContent: `${row.category} · paid by ${row.who}` })),
    make('span', { className: 'amount', textContent: money(row.amount) }),
    make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${row.what}`, onclick: () => {
      state.rows = state.rows.filter((other) => other !== row);
      show();
    } }))));
  if (!rows.length) $('#list').append(make('li', { className: 'empty' }, make('span', { className: 'grow', textContent: 'Nothing spent yet.' })));

  const { people, debts } = settle(state.rows);
  $('#people').replaceChildren(...people.map((who) => make('option', { value: who })));
  $('#shares').hidden = people.length < 2;
  $('#debts').replaceChildren(...debts.map((debt) => make('li', {},
    make('span', { className: 'grow', textContent: `${debt.from} pays ${debt.to}` }), make('b', { textContent: money(debt.amount) }))));
  if (!debts.length) $('#debts').append(make('li', { textContent: 'All square.' }));
}

$('#add').elements.category.append(...app.categories.map((category) => make('option', { textContent: category })));
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const { what, amount, category, who } = event.target.elements;
  state.rows.unshift({ what: what.value.trim() || category.value, amount: Number(amount.value), category: category.value, who: who.value.trim() || 'Me' });
  what.value = '';
  amount.value = '';
  what.focus();
  show();
};
$('#budget').value = state.budget;
$('#budget').oninput = (event) => { state.budget = Number(event.target.value); show(); };
$('#currency').value = state.currency;
$('#currency').onchange = (event) => { state.currency = event.target.value; show(); };
show();
