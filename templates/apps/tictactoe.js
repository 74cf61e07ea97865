const lines = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
const score = kept.read('tictactoe', { X: 0, O: 0, draws: 0 });
let mode = 'computer';
let first = 'X';
let turn = 'X';
let cells = Array(9).fill('');

const line = (board) => lines.find(([a, b, c]) => board[a] && board[a] === board[b] && board[a] === board[c]);
const free = (board) => board.flatMap((mark, i) => (mark ? [] : [i]));
const other = (mark) => (mark === 'X' ? 'O' : 'X');

// Minimax from the view of O: 1 a win, 0 a draw, -1 a loss.
function worth(board, mark) {
  if (line(board)) return mark === 'X' ? 1 : -1;
  const moves = free(board).map((i) => worth(board.with(i, mark), other(mark)));
  if (!moves.length) return 0;
  return mark === 'O' ? Math.max(...moves) : Math.min(...moves);
}

// The best move, but now and then a random one, so that it can be beaten.
function computerMove() {
  const moves = free(cells);
  if (Math.random() < 0.2) return moves[Math.floor(Math.random() * moves.length)];
  const rated = moves.map((i) => [worth(cells.with(i, 'O'), 'X'), i]);
  return rated.reduce((best, move) => (move[0] > best[0] ? move : best))[1];
}

function play(i) {
  if (cells[i] || line(cells)) return;
  cells[i] = turn;
  turn = other(turn);
  if (line(cells)) score[cells[i]] += 1;
  else if (!free(cells).length) score.draws += 1;
  kept.write('tictactoe', score);
  answer();
  show();
}

function answer() {
  if (mode === 'computer' && turn === 'O' && !line(cells) && free(cells).length) play(computerMove());
}

function show() {
  const won = line(cells);
  const over = won || !free(cells).length;
  tabs($('#modes'), [['computer', 'Against the computer'], ['friend', 'Two players']], mode, (to) => { mode = to; begin('X'); });
  $('#turn').textContent = won ? `${cells[won[0]]} wins!` : over ? 'A draw.' : `${turn} to move`;
  $('#wins-x').textContent = score.X;
  $('#wins-o').textContent = score.O;
  $('#draws').textContent = score.draws;
  [...$('#board').children].forEach((button, i) => {
    button.textContent = cells[i];
    button.disabled = Boolean(cells[i] || over);
    button.className = `${cells[i].toLowerCase()} ${won && won.includes(i) ? 'won' : ''}`;
    button.setAttribute('aria-label', `Row ${Math.floor(i / 3) + 1}, column ${(i % 3) + 1}: ${cells[i] || 'empty'}`);
  });
}

function begin(starter) {
  first = starter;
  turn = starter;
  cells = Array(9).fill('');
  answer();
  show();
}

$('#board').append(...cells.map((_, i) => make('button', { type: 'button', onclick: () => play(i) })));
$('#again').onclick = () => begin(other(first));
begin('X');
