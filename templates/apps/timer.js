const day = new Date().toDateString();
const names = { focus: 'Focus', short: 'Short break', long: 'Long break', watch: 'Stopwatch' };
const lengths = kept.read('timer.lengths', { focus: app.minutes, short: 5, long: 15 });
let record = kept.read('timer.record', { day, sessions: [] });
if (record.day !== day) record = { day, sessions: [] };
let laps = [];
let mode = app.mode;
let elapsed = 0; // milliseconds before the present run
let since = null; // when the present run began
const pageTitle = document.title;

const total = () => (lengths[mode] || 0) * 60000;
const passed = () => elapsed + (since === null ? 0 : Date.now() - since);

function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return [Math.floor(seconds / 60), seconds % 60].map((n) => String(n).padStart(2, '0')).join(':');
}

function show() {
  const watch = mode === 'watch';
  const left = watch ? Math.floor(passed() / 1000) * 1000 : total() - passed();
  $('#time').textContent = clock(left);
  $('#hint').textContent = watch ? `${laps.length} laps` : names[mode];
  $('#arc').style.strokeDashoffset = watch ? -((passed() / 600) % 100) : 100 * Math.min(1, passed() / total());
  $('#start').textContent = since === null ? (elapsed ? 'Resume' : 'Start') : 'Pause';
  $('#lap').hidden = !watch;
  document.title = since === null ? pageTitle : `${clock(left)} · ${pageTitle}`;
}

function showRecord() {
  tabs($('#modes'), Object.entries(names), mode, change);
  $('#sessions').textContent = record.sessions.length;
  $('#minutes').textContent = record.sessions.reduce((sum, session) => sum + session.minutes, 0);
  const rows = mode === 'watch'
    ? laps.map((ms, i) => [`Lap ${i + 1}`, `${(ms / 1000).toFixed(1)} s`])
    : record.sessions.map((session) => [session.task, `${session.minutes} min`]);
  $('#log').replaceChildren(...rows.reverse().map(([what, amount]) =>
    make('li', {}, make('span', { className: 'grow', textContent: what }), make('span', { className: 'tag', textContent: amount }))));
}

function beep() {
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
  } catch {
    // Silent where sound is not allowed.
  }
}

function change(to) {
  mode = to;
  elapsed = 0;
  since = null;
  laps = [];
  show();
  showRecord();
}

function finish() {
  beep();
  if (mode === 'focus') {
    record.sessions.push({ task: $('#task').value.trim() || 'Focus', minutes: lengths.focus });
    kept.write('timer.record', record);
  }
  const rest = record.sessions.length % 4 === 0 ? 'long' : 'short';
  const next = mode === 'focus' ? rest : 'focus';
  $('#status').textContent = `${names[mode]} is over. Next: ${names[next].toLowerCase()}.`;
  change(next);
}

$('#start').onclick = () => {
  if (since === null) {
    since = Date.now();
    $('#status').textContent = mode === 'watch' ? 'Running' : `${names[mode]} until ${new Date(Date.now() + total() - elapsed).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}`;
  } else {
    elapsed = passed();
    since = null;
    $('#status').textContent = 'Paused';
  }
  show();
};
$('#lap').onclick = () => {
  laps.push(passed());
  show();
  showRecord();
};
$('#reset').onclick = () => {
  $('#status').textContent = '';
  change(mode);
};
for (const field of ['focus', 'short', 'long']) $('#lengths').elements[field].value = lengths[field];
$('#lengths').onsubmit = (event) => {
  event.preventDefault();
  for (const field of ['focus', 'short', 'long']) lengths[field] = Number(event.target.elements[field].value);
  kept.write('timer.lengths', lengths);
  change(mode);
};
setInterval(() => {
  if (since === null) return;
  if (mode !== 'watch' && passed() >= total()) finish();
  else show();
}, 200);
change(mode);
