// Each field: [label, input type, example]; the first one names the entry, the second one groups the list.
const [nameField, groupField] = app.fields.map((field) => field[0]);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
let entries = kept.read('collection', app.rows.map((values) => ({ values, done: false })));
let state = 'All';
let group = 'All';
let sort = 'Newest';
let editing = null;

const value = (entry, label) => entry.values[app.fields.findIndex((field) => field[0] === label)] || '';

function remove(entry) {
  entries = entries.filter((other) => other !== entry);
  show();
}

function edit(entry) {
  editing = entry;
  [...$('#add').querySelectorAll('input')].forEach((input, i) => { input.value = entry.values[i] || ''; });
  $('#save').textContent = 'Save changes';
  $('#add input').focus();
}

function row(entry) {
  const name = value(entry, nameField);
  const facts = app.fields.slice(2).map(([label], i) => entry.values[i + 2] && `${label}: ${entry.values[i + 2]}`).filter(Boolean).join(' · ');
  return make('li', {},
    make('input', { type: 'checkbox', checked: entry.done, 'aria-label': `${app.tick}: ${name}`, onchange: () => { entry.done = !entry.done; show(); } }),
    make('span', { className: 'grow' }, make('div', { className: entry.done ? 'done' : '', textContent: name }), make('small', { textContent: facts })),
    ...(value(entry, groupField) ? [make('span', { className: 'tag', textContent: value(entry, groupField) })] : []),
    make('span', { className: 'tools' },
      make('button', { type: 'button', className: 'bare', textContent: 'Edit', 'aria-label': `Edit ${name}`, onclick: () => edit(entry) }),
      make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${name}`, onclick: () => remove(entry) })));
}

function show() {
  kept.write('collection', entries);
  const done = entries.filter((entry) => entry.done).length;
  const groups = [...new Set(entries.map((entry) => value(entry, groupField)))].filter(Boolean);
  const stats = [[entries.length, app.plural], [done, app.tick.toLowerCase()], [entries.length - done, 'to go']];
  $('#stats').replaceChildren(...stats.map(([number, text]) => make('div', {}, make('b', { textContent: number }), text)));
  tabs($('#state'), ['All', 'To go', app.tick].map((name) => [name, name]), state, (to) => { state = to; show(); });
  if (!groups.includes(group)) group = 'All';
  $('#groups').hidden = groups.length < 2;
  tabs($('#groups'), ['All', ...groups].map((name) => [name, name === 'All' ? `Any ${groupField.toLowerCase()}` : name]), group, (to) => { group = to; show(); });

  const wanted = $('#search').value.trim().toLowerCase();
  const shown = entries
    .filter((entry) => state === 'All' || entry.done === (state === app.tick))
    .filter((entry) => group === 'All' || value(entry, groupField) === group)
    .filter((entry) => entry.values.join(' ').toLowerCase().includes(wanted));
  if (sort !== 'Newest') shown.sort((a, b) => value(a, sort).localeCompare(value(b, sort), undefined, { numeric: true }));
  $('#list').replaceChildren(...shown.map(row));
  const nothing = entries.length ? 'Nothing matches.' : `Nothing here yet. Add your first ${app.noun} above.`;
  if (!shown.length) $('#list').append(make('li', { className: 'empty' }, make('span', { className: 'grow', textContent: nothing })));
}

$('#fields').append(...app.fields.map(([label, type, example], i) =>
  make('label', { className: i ? '' : 'wide' }, label, make('input', { type, required: i === 0, maxLength: 100, placeholder: example, autocomplete: 'off' }))),
make('button', { id: 'save', textContent: `Add ${app.noun}` }));
$('#sort').append(...['Newest', ...app.fields.map((field) => field[0])].map((name) => make('option', { textContent: capital(name) })));
$('#sort').onchange = (event) => { sort = event.target.value; show(); };
$('#search').oninput = show;
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const values = [...event.target.querySelectorAll('input')].map((input) => input.value.trim());
  if (!values[0]) return;
  if (editing) editing.values = values;
  else entries.unshift({ values, done: false });
  editing = null;
  event.target.reset();
  $('#save').textContent = `Add ${app.noun}`;
  $('#add input').focus();
  show();
};
show();
