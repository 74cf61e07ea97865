// Each unit: its name and how many of the base unit it is; temperatures also have an offset.
const kinds = {
  Length: { metre: 1, kilometre: 1000, centimetre: 0.01, millimetre: 0.001, mile: 1609.344, yard: 0.9144, foot: 0.3048, inch: 0.0254, 'nautical mile': 1852 },
  Weight: { kilogram: 1, gram: 0.001, milligram: 0.000001, tonne: 1000, pound: 0.45359237, ounce: 0.028349523125, stone: 6.35029318 },
  Temperature: { 'degree Celsius': [1, 273.15], 'degree Fahrenheit': [5 / 9, 255.3722222222222], kelvin: [1, 0] },
  Volume: { litre: 1, millilitre: 0.001, 'cubic metre': 1000, 'US gallon': 3.785411784, 'US cup': 0.2365882365, 'US fluid ounce': 0.0295735295625, 'imperial pint': 0.56826125, tablespoon: 0.015, teaspoon: 0.005 },
  Speed: { 'km/h': 1, 'm/s': 3.6, 'mile/h': 1.609344, knot: 1.852 },
  Area: { 'square metre': 1, 'square kilometre': 1e6, hectare: 1e4, acre: 4046.8564224, 'square foot': 0.09290304 },
  Time: { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800, 'year of 365 days': 31536000 },
  Data: { byte: 1, kilobyte: 1e3, megabyte: 1e6, gigabyte: 1e9, terabyte: 1e12, kibibyte: 1024, mebibyte: 1048576, gibibyte: 1073741824 },
};
let kind = kinds[app.kind] ? app.kind : 'Length';

function convert(amount, from, to) {
  const [size, offset] = [kinds[kind][from]].flat();
  const [otherSize, otherOffset] = [kinds[kind][to]].flat();
  return (amount * size + (offset || 0) - (otherOffset || 0)) / otherSize;
}

// Seven significant digits hide the noise of binary fractions.
const tidy = (number) => Number(number.toPrecision(7));
const text = (number) => tidy(number).toLocaleString(undefined, { maximumSignificantDigits: 7 });

function show(changed) {
  const [source, target] = changed === 'to' ? ['to', 'from'] : ['from', 'to'];
  const amount = $(`#${source}`).valueAsNumber || 0;
  const unit = $(`#${source}-unit`).value;
  $(`#${target}`).value = tidy(convert(amount, unit, $(`#${target}-unit`).value));
  $('#sentence').textContent = `${text(amount)} ${unit} = ${text(convert(amount, unit, $(`#${target}-unit`).value))} ${$(`#${target}-unit`).value}`;
  $('#all').replaceChildren(...Object.keys(kinds[kind]).map((other) =>
    make('li', {}, make('span', { className: 'grow', textContent: other }), make('b', { textContent: text(convert(amount, unit, other)) }))));
}

function choose(to) {
  kind = to;
  tabs($('#kinds'), Object.keys(kinds).map((name) => [name, name]), kind, choose);
  const units = Object.keys(kinds[kind]);
  for (const [i, side] of ['from', 'to'].entries()) {
    $(`#${side}-unit`).replaceChildren(...units.map((unit) => make('option', { textContent: unit })));
    $(`#${side}-unit`).value = units[i];
  }
  show('from');
}

for (const side of ['from', 'to']) {
  $(`#${side}`).oninput = () => show(side);
  $(`#${side}-unit`).onchange = () => show('from');
}
$('#swap').onclick = () => {
  const [from, to] = [$('#from-unit'), $('#to-unit')];
  [from.value, to.value] = [to.value, from.value];
  show('from');
};
choose(kind);
