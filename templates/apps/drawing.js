const inks = { Black: '#16161d', Red: '#e5484d', Orange: '#f08c2e', Yellow: '#f2c230', Green: '#2f9e58', Blue: '#2f7de1', Violet: '#7c5ce0', Brown: '#8a5a3c' };
const pad = $('#pad');
const pen = pad.getContext('2d');
let strokes = kept.read('drawing', []);
let undone = [];
let drawing = null;
let ink = inks.Black;
let erasing = false;

function paint(stroke) {
  pen.strokeStyle = stroke.ink;
  pen.lineWidth = stroke.size;
  pen.lineCap = 'round';
  pen.lineJoin = 'round';
  pen.beginPath();
  pen.moveTo(...stroke.points[0]);
  for (const point of stroke.points) pen.lineTo(...point);
  pen.stroke();
}

function show() {
  kept.write('drawing', strokes);
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, pad.width, pad.height);
  strokes.forEach(paint);
  $('#undo').disabled = !strokes.length;
  $('#redo').disabled = !undone.length;
  $('#status').textContent = strokes.length ? `${strokes.length} strokes` : 'Draw something.';
}

function showTools() {
  $('#inks').replaceChildren(...Object.entries(inks).map(([name, colour]) =>
    make('button', { type: 'button', style: `background:${colour}`, 'aria-label': name, 'aria-pressed': String(!erasing && colour === ink), onclick: () => choose(colour) })));
  $('#eraser').setAttribute('aria-pressed', String(erasing));
}

function choose(colour) {
  ink = colour;
  erasing = false;
  showTools();
}

function point(event) {
  const box = pad.getBoundingClientRect();
  return [Math.round(((event.clientX - box.left) * pad.width) / box.width), Math.round(((event.clientY - box.top) * pad.height) / box.height)];
}

pad.onpointerdown = (event) => {
  pad.setPointerCapture(event.pointerId);
  drawing = { ink: erasing ? '#ffffff' : ink, size: Number($('#size').value) * (erasing ? 4 : 2), points: [point(event)] };
  paint(drawing);
};
pad.onpointermove = (event) => {
  if (!drawing) return;
  drawing.points.push(point(event));
  paint(drawing);
};
pad.onpointerup = pad.onpointercancel = () => {
  if (!drawing) return;
  strokes.push(drawing);
  [drawing, undone] = [null, []];
  show();
};
$('#own').oninput = (event) => choose(event.target.value);
$('#eraser').onclick = () => { erasing = !erasing; showTools(); };
$('#undo').onclick = () => { undone.push(strokes.pop()); show(); };
$('#redo').onclick = () => { strokes.push(undone.pop()); show(); };
$('#clear').onclick = () => { undone = strokes.reverse(); strokes = []; show(); };
$('#picture').onclick = () => { $('#image').src = pad.toDataURL(); $('#result').hidden = false; };
showTools();
show();
