const state = kept.read('poll', { question: app.question, options: app.options.map((text) => ({ text, votes: 0 })), mine: null });

function vote(text) {
  if (state.mine === text) return;
  for (const option of state.options) {
    if (option.text === state.mine) option.votes -= 1;
    if (option.text === text) option.votes += 1;
  }
  state.mine = text;
  show();
}

function show() {
  kept.write('poll', state);
  const total = state.options.reduce((sum, option) => sum + option.votes, 0);
  $('#question').textContent = state.question;
  $('#vote').replaceChildren(...state.options.map((option) => {
    const share = total ? Math.round((100 * option.votes) / total) : 0;
    return make('label', { style: `--share:${share}%` },
      make('input', { type: 'radio', name: 'choice', checked: option.text === state.mine, onchange: () => vote(option.text) }),
      make('span', { className: 'grow', textContent: option.text }), make('b', { textContent: `${share}%` }), make('small', { textContent: option.votes }));
  }));
  $('#total').textContent = `${total} ${total === 1 ? 'vote' : 'votes'} on this device${state.mine ? `; yours is for ${state.mine}.` : '. Choose one.'}`;
  $('#edit').elements.question.value = state.question;
}

$('#vote').onsubmit = (event) => event.preventDefault();
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const text = event.target.elements.text.value.trim();
  if (text && !state.options.some((option) => option.text === text)) state.options.push({ text, votes: 0 });
  event.target.reset();
  show();
};
$('#edit').onsubmit = (event) => {
  event.preventDefault();
  state.question = event.target.elements.question.value.trim() || state.question;
  show();
};
$('#reset').onclick = () => {
  state.mine = null;
  for (const option of state.options) option.votes = 0;
  show();
};
show();
