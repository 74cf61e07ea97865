let habits = kept.read('habits', null);

const iso = (date) => date.toLocaleDateString('sv'); // yyyy-mm-dd in local time
const ago = (days) => { const date = new Date(); date.setDate(date.getDate() - days); return date; };
const week = [6, 5, 4, 3, 2, 1, 0].map(ago);

// A first look at what a week can be; ticks are days before today.
if (!habits) habits = app.habits.map((what, i) => ({ what, days: [1, 2, 3, 4, 5].filter((n) => (n + i) % (i + 2)).map((n) => iso(ago(n))) }));

// Today may still come: the streak is then counted up to yesterday.
function streak(habit) {
  let length = 0;
  let back = habit.days.includes(iso(ago(0))) ? 0 : 1;
  while (habit.days.includes(iso(ago(back)))) {
    length += 1;
    back += 1;
  }
  return length;
}

function toggle(habit, day) {
  habit.days = habit.days.includes(day) ? habit.days.filter((other) => other !== day) : [...habit.days, day];
  show();
}

function show() {
  kept.write('habits', habits);
  const today = iso(ago(0));
  const ticks = habits.flatMap((habit) => week.filter((date) => habit.days.includes(iso(date)))).length;
  $('#today').textContent = `${habits.filter((habit) => habit.days.includes(today)).length}/${habits.length}`;
  $('#week').textContent = `${habits.length ? Math.round((100 * ticks) / (7 * habits.length)) : 0}%`;
  $('#streak').textContent = Math.max(0, ...habits.map(streak));
  $('#empty').hidden = habits.length > 0;
  $('#days').replaceChildren(make('th', { textContent: 'Habit' }), ...week.map((date) =>
    make('th', { className: iso(date) === today ? 'now' : '', textContent: date.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric' }) })), make('th', { textContent: 'Streak' }), make('th', {}));
  $('#rows').replaceChildren(...habits.map((habit) => make('tr', {},
    make('th', { scope: 'row', textContent: habit.what }),
    ...week.map((date) => make('td', {}, make('button', {
      type: 'button', className: 'day', 'aria-pressed': String(habit.days.includes(iso(date))),
      'aria-label': `${habit.what}, ${date.toDateString()}`, onclick: () => toggle(habit, iso(date)),
    }))),
    make('td', {}, make('span', { className: 'tag', textContent: streak(habit) })),
    make('td', {}, make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': `Delete ${habit.what}`, onclick: () => { habits = habits.filter((other) => other !== habit); show(); } })))));
}

$('#add').onsubmit = (event) => {
  event.preventDefault();
  const field = event.target.elements.what;
  if (field.value.trim()) habits.push({ what: field.value.trim(), days: [] });
  field.value = '';
  show();
};
show();
