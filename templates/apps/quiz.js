const own = kept.read('quiz.own', []);
let round = [];
let at = 0;
let given = [];

function shuffled(list) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

// Written questions are [question, right, wrong, …]; for pairs the wrong answers are those of the other pairs.
function questions() {
  const paired = (app.pairs || []).map(([subject, right]) => {
    const others = shuffled(app.pairs.map((pair) => pair[1]).filter((answer) => answer !== right)).slice(0, 3);
    return [app.ask.replace('…', subject), right, ...others];
  });
  return [...shuffled([...(app.questions || []), ...paired]).slice(0, 10 - Math.min(own.length, 5)), ...shuffled(own).slice(0, 5)];
}

function begin() {
  round = shuffled(questions()).map(([ask, right, ...wrong]) => ({ ask, right, answers: shuffled([right, ...wrong]) }));
  at = 0;
  given = [];
  $('#play').hidden = false;
  $('#result').hidden = true;
  showQuestion();
}

const rightOnes = () => given.filter((answer, i) => answer === round[i].right).length;

function showQuestion() {
  const { ask, answers } = round[at];
  $('#place').textContent = `Question ${at + 1} of ${round.length}`;
  $('#score').textContent = `${rightOnes()} right`;
  $('#progress').style.width = `${(100 * at) / round.length}%`;
  $('#question').textContent = ask;
  $('#verdict').textContent = '';
  $('#next').className = '';
  $('#answers').replaceChildren(...answers.map((answer) => make('button', { type: 'button', textContent: answer, onclick: () => choose(answer) })));
}

function choose(answer) {
  if (given.length > at) return;
  const { right } = round[at];
  given.push(answer);
  for (const button of $('#answers').children) {
    button.disabled = true;
    if (button.textContent === right) button.className = 'right';
    else if (button.textContent === answer) button.className = 'wrong';
  }
  $('#verdict').textContent = answer === right ? 'Right!' : `Not quite: it is ${right}.`;
  $('#score').textContent = `${rightOnes()} right`;
  $('#next').className = 'ready';
  $('#next').focus();
}

function showResult() {
  const share = rightOnes() / round.length;
  const best = Math.max(share, kept.read('quiz.best', 0));
  kept.write('quiz.best', best);
  $('#play').hidden = true;
  $('#result').hidden = false;
  $('#summary').textContent = `${rightOnes()} of ${round.length}: ${share === 1 ? 'perfect!' : share >= 0.7 ? 'well done!' : share >= 0.4 ? 'not bad.' : 'a good start.'}`;
  $('#share').style.width = `${100 * share}%`;
  $('#best').textContent = `Best so far: ${Math.round(100 * best)}%`;
  $('#review').replaceChildren(...round.map(({ ask, right }, i) => make('li', {},
    make('span', { className: 'grow' }, make('div', { textContent: ask }), make('small', { textContent: given[i] === right ? right : `${given[i]}, but it is ${right}` })),
    make('span', { className: 'tag', textContent: given[i] === right ? 'right' : 'wrong' }))));
  $('#summary').focus();
}

$('#next').onclick = () => {
  at += 1;
  if (at < round.length) showQuestion();
  else showResult();
};
$('#again').onclick = begin;
document.addEventListener('keydown', (event) => {
  const button = $('#answers').children[Number(event.key) - 1];
  if (button && !$('#play').hidden && !event.target.matches('input')) button.click();
});
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const form = event.target.elements;
  own.push([form.ask, form.right, form.wrong1, form.wrong2].map((field) => field.value.trim()).filter(Boolean));
  kept.write('quiz.own', own);
  event.target.reset();
  $('#own').textContent = `Added. It comes up in the next round (${own.length} of your own).`;
};
begin();
