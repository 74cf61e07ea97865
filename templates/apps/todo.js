let tasks = kept.read('todo', app.tasks);
let filter = 'Open';
let whose = 'Everyone';
let editing = null;

const today = () => new Date().toLocaleDateString('sv'); // yyyy-mm-dd
const order = { High: 0, Normal: 1, Low: 2 };
const people = () => [...new Set([...app.people, ...tasks.map((task) => task.who)])].filter(Boolean);

function row(task) {
  const rename = (event) => {
    task.what = event.target.value.trim() || task.what;
    editing = null;
    show();
  };
  const facts = [task.level === 'Normal' ? '' : `${task.level} priority`, task.due && `due ${task.due}`].filter(Boolean).join(' · ');
  const late = task.due && !task.done && task.due < today();
  const text = editing === task
    ? make('input', { type: 'text', value: task.what, maxLength: 120, 'aria-label': 'Task', onchange: rename, onblur: rename })
    : make('span', { className: 'grow' }, make('div', { className: task.done ? 'done' : '', textContent: task.what }), make('small', { className: late ? 'late' : '', textContent: facts }));
  return make('li', { className: task.level === 'High' && !task.done ? 'high' : '' },
    make('input', { type: 'checkbox', checked: task.done, 'aria-label': `Done: ${task.what}`, onchange: () => { task.done = !task.done; show(); } }),
    text,
    ...(task.who ? [make('span', { className: 'tag', textContent: task.who })] : []),
    make('span', { className: 'tools' },
      make('button', { type: 'button', className: 'bare', textContent: 'Edit', 'aria-label': `Edit ${task.what}`, onclick: () => { editing = task; show(); $('#list input[type="text"]').focus(); } }),
      make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${task.what}`, onclick: () => { tasks = tasks.filter((other) => other !== task); show(); } })));
}

function show() {
  kept.write('todo', tasks);
  const done = tasks.filter((task) => task.done).length;
  $('#count').textContent = `${done} of ${tasks.length} done`;
  $('#progress').style.width = `${tasks.length ? (100 * done) / tasks.length : 0}%`;
  $('#clear').hidden = !done;
  tabs($('#filter'), ['Open', 'Done', 'All'].map((name) => [name, name]), filter, (to) => { filter = to; show(); });
  $('#people').replaceChildren(...people().map((who) => make('option', { value: who })));
  $('#whose').hidden = people().length === 0;
  tabs($('#whose'), ['Everyone', ...people()].map((name) => [name, name]), whose, (to) => { whose = to; show(); });
  const shown = tasks
    .filter((task) => filter === 'All' || task.done === (filter === 'Done'))
    .filter((task) => whose === 'Everyone' || task.who === whose)
    .sort((a, b) => order[a.level] - order[b.level]);
  $('#list').replaceChildren(...shown.map(row));
  if (!shown.length) $('#list').append(make('li', { className: 'empty' }, make('span', { className: 'grow', textContent: 'Nothing here.' })));
}

$('#who-label').hidden = !app.people.length;
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const { what, who, due, level } = event.target.elements;
  if (what.value.trim()) tasks.unshift({ what: what.value.trim(), who: who.value.trim(), due: due.value, level: level.value, done: false });
  if (filter === 'Done') filter = 'Open';
  event.target.reset();
  what.focus();
  show();
};
$('#clear').onclick = () => { tasks = tasks.filter((task) => !task.done); show(); };
show();
