const size = 20;
const cell = 600 / size;
const ways = { up: [0, -1, '↑'], left: [-1, 0, '←'], down: [0, 1, '↓'], right: [1, 0, '→'] };
const pen = $('#field').getContext('2d');
let snake, way, turns, food, timer = null;

const at = (a, b) => a[0] === b[0] && a[1] === b[1];

function placeFood() {
  do food = [0, 1].map(() => Math.floor(Math.random() * size));
  while (snake.some((part) => at(part, food)));
}

function reset() {
  snake = [[9, 10], [8, 10], [7, 10]];
  way = 'right';
  turns = [];
  placeFood();
}

function steer(to) {
  const last = turns.length ? turns[turns.length - 1] : way;
  if (ways[to][0] !== -ways[last][0] || ways[to][1] !== -ways[last][1]) turns.push(to);
  if (timer === null) start();
}

function start() {
  reset();
  clearTimeout(timer);
  $('#status').textContent = 'Go!';
  $('#start').textContent = 'Restart';
  step();
}

function step() {
  way = turns.shift() || way;
  const head = [snake[0][0] + ways[way][0], snake[0][1] + ways[way][1]];
  const eats = at(head, food);
  const outside = head.some((n) => n < 0 || n >= size);
  if (outside || snake.slice(0, -1).some((part) => at(part, head))) {
    timer = null;
    $('#status').textContent = `Game over with ${snake.length - 3} points.`;
    return;
  }
  snake.unshift(head);
  if (eats) placeFood();
  else snake.pop();
  timer = setTimeout(step, 1000 / Number($('#speed').value));
  show();
}

function show() {
  const colours = getComputedStyle(document.documentElement);
  const block = ([x, y], inset) => {
    pen.beginPath();
    pen.roundRect(x * cell + inset, y * cell + inset, cell - 2 * inset, cell - 2 * inset, 7);
    pen.fill();
  };
  pen.clearRect(0, 0, 600, 600);
  pen.fillStyle = colours.getPropertyValue('--accent');
  snake.forEach((part, i) => block(part, i ? 2 : 0));
  pen.fillStyle = '#e0365a';
  block(food, 5);
  const points = snake.length - 3;
  kept.write('snake', Math.max(points, kept.read('snake', 0)));
  $('#score').textContent = points;
  $('#best').textContent = Math.max(points, kept.read('snake', 0));
}

document.addEventListener('keydown', (event) => {
  const to = event.key.replace('Arrow', '').toLowerCase();
  if (!(to in ways) || event.target.matches('input')) return;
  event.preventDefault();
  steer(to);
});
$('#pad').append(...Object.entries(ways).map(([to, [, , arrow]]) =>
  make('button', { type: 'button', className: `quiet ${to}`, textContent: arrow, 'aria-label': to, onclick: () => steer(to) })));
$('#start').onclick = start;
reset();
show();
$('#status').textContent = 'Press start or an arrow key.';
