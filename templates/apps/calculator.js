const keys = ['C', '(', ')', '÷', '7', '8', '9', '×', '4', '5', '6', '−', '1', '2', '3', '+', '0', '.', '⌫', '='];
const spoken = { '÷': 'divide', '×': 'times', '−': 'minus', '+': 'plus', '⌫': 'delete the last', '=': 'equals', C: 'clear' };
const typed = { '/': '÷', '*': '×', '-': '−', Enter: '=', Backspace: '⌫', Escape: 'C', ',': '.' };
const sum = { '+': (a, b) => a + b, '−': (a, b) => a - b };
const product = { '×': (a, b) => a * b, '÷': (a, b) => a / b };
let text = '';
let history = kept.read('calculator', []);

// A sum of products of numbers, signed numbers and parentheses; null if it is not one.
function calculate(source) {
  const tokens = source.match(/\d+\.?\d*|\.\d+|[()+−×÷]/g) || [];
  const chain = (operators, part) => {
    let value = part();
    while (tokens[0] in operators) value = operators[tokens.shift()](value, part());
    return value;
  };
  const number = () => {
    const token = tokens.shift();
    if (token === '−') return -number();
    if (token !== '(') return Number.parseFloat(token);
    const value = chain(sum, term);
    tokens.shift();
    return value;
  };
  const term = () => chain(product, number);
  const value = chain(sum, term);
  return tokens.length || !Number.isFinite(value) ? null : Number(value.toPrecision(12));
}

function press(key) {
  if (key === 'C') text = '';
  else if (key === '⌫') text = text.slice(0, -1);
  else if (key === '=') finish();
  else text += key;
  show();
}

function finish() {
  const value = calculate(text);
  if (value === null) return;
  history = [[text, value], ...history].slice(0, 8);
  kept.write('calculator', history);
  text = String(value).replace('-', '−');
}

function show() {
  const value = calculate(text);
  $('#screen').textContent = text || '0';
  $('#past').textContent = text && value !== null ? `= ${value}` : '';
  $('#history').replaceChildren(...history.map(([source, result]) => make('li', {},
    make('span', { className: 'grow soft', textContent: `${source} =` }),
    make('button', { type: 'button', className: 'quiet', textContent: result, 'aria-label': `Use ${result}`, onclick: () => { text += String(result).replace('-', '−'); show(); } }))));
  if (!history.length) $('#history').append(make('li', { className: 'soft', textContent: 'Your results appear here.' }));
}

$('#keys').append(...keys.map((key) => make('button', {
  type: 'button', textContent: key, 'aria-label': spoken[key] || key, onclick: () => press(key),
  className: key === '=' ? 'equals' : /[\d.]/.test(key) ? '' : 'sign',
})));
$('#forget').onclick = () => { history = []; kept.write('calculator', history); show(); };
document.addEventListener('keydown', (event) => {
  const key = typed[event.key] || event.key;
  if (!keys.includes(key) || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  press(key);
});
show();
