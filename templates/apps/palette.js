// Turns of the colour wheel in degrees; the shades of one hue are the last kind.
const harmonies = { Analogous: [0, 25, 50, -25, -50], Complementary: [0, 180, 20, 200, -20], Triad: [0, 120, 240, 140, 260], Tetrad: [0, 90, 180, 270, 45], 'One hue': [0, 0, 0, 0, 0] };
const lights = [0, 0.18, 0.34, -0.14, -0.28];
let base = kept.read('palette.base', app.base);
let harmony = 'Analogous';
let saved = kept.read('palette.saved', []);

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);

function toHsl(hex) {
  const [r, g, b] = channels(hex);
  const max = Math.max(r, g, b);
  const spread = max - Math.min(r, g, b);
  const light = max - spread / 2;
  const hue = spread === 0 ? 0 : max === r ? ((g - b) / spread) % 6 : max === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  return [hue * 60, spread === 0 ? 0 : spread / (1 - Math.abs(2 * light - 1)), light];
}

function toHex(hue, saturation, light) {
  const channel = (n) => {
    const k = (n + hue / 30 + 12) % 12;
    const value = light - saturation * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value).toString(16).padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

function palette() {
  const [hue, saturation, light] = toHsl(base);
  return harmonies[harmony].map((turn, i) => (i === 0 ? base : toHex((hue + turn + 720) % 360, saturation, Math.min(0.94, Math.max(0.1, light + lights[i])))));
}

// Relative luminance and contrast by WCAG 2.
function luminance(hex) {
  const [r, g, b] = channels(hex).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const inkOn = (hex) => (luminance(hex) > 0.18 ? '#000000' : '#ffffff');

async function copyCode(code) {
  const done = await copy(code);
  $('#status').textContent = done ? `${code} copied.` : `Copying is not allowed here. The code is ${code}.`;
}

function strip(entry) {
  return make('li', {}, make('span', { className: 'strip' }, ...entry.colours.map((colour) => make('i', { style: `background:${colour}` }))),
    make('button', { type: 'button', className: 'quiet', textContent: 'Use', onclick: () => { base = entry.colours[0]; harmony = entry.harmony; show(); } }),
    make('button', { type: 'button', className: 'bare', textContent: '×', 'aria-label': 'Forget this palette', onclick: () => { saved = saved.filter((other) => other !== entry); show(); } }));
}

function show() {
  kept.write('palette.base', base);
  kept.write('palette.saved', saved);
  const colours = palette();
  $('#base').value = base;
  $('#hex').value = base;
  $('#harmony').value = harmony;
  $('#swatches').replaceChildren(...colours.map((code) =>
    make('button', { type: 'button', textContent: code, style: `background:${code};color:${inkOn(code)}`, onclick: () => copyCode(code) })));
  const byLight = [...colours].sort((a, b) => luminance(a) - luminance(b));
  const [dark, light] = [byLight[0], byLight[4]];
  const contrast = (luminance(light) + 0.05) / (luminance(dark) + 0.05);
  $('#sample').style = `background:${light};color:${dark}`;
  $('#pill').style = `background:${colours[0]};color:${inkOn(colours[0])}`;
  $('#contrast').textContent = `${contrast.toFixed(1)} : 1 (${contrast >= 7 ? 'AAA' : contrast >= 4.5 ? 'AA' : contrast >= 3 ? 'large text only' : 'too little for text'})`;
  $('#saved').replaceChildren(...saved.map(strip));
  if (!saved.length) $('#saved').append(make('li', { className: 'soft', textContent: 'None yet.' }));
}

$('#harmony').append(...Object.keys(harmonies).map((name) => make('option', { textContent: name })));
$('#harmony').onchange = (event) => { harmony = event.target.value; show(); };
$('#base').oninput = (event) => { base = event.target.value; show(); };
$('#hex').onchange = (event) => { if (event.target.value && event.target.validity.valid) base = event.target.value.toLowerCase(); show(); };
$('#random').onclick = () => {
  base = toHex(Math.random() * 360, 0.45 + Math.random() * 0.4, 0.4 + Math.random() * 0.2);
  harmony = Object.keys(harmonies)[Math.floor(Math.random() * 5)];
  show();
};
$('#save').onclick = () => { saved.unshift({ harmony, colours: palette() }); $('#status').textContent = 'Kept.'; show(); };
show();
