const sets = { lower: 'abcdefghijklmnopqrstuvwxyz', upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', digits: '0123456789', signs: '!?#$%&*+-=@_^~' };
const starts = 'b br c cl d dr f fl g gr h j k l m n p pl r s st t tr v w z'.split(' ');
const vowels = 'a e i o u ai ou'.split(' ');
const ends = 'b ck d l m n ng p r s st t'.split(' ');
const limits = { Password: [6, 64, 18], Passphrase: [3, 12, 5], PIN: [4, 16, 6] };
let kind = 'Password';

// An even choice below the limit: numbers of the uneven rest are drawn again.
function below(limit) {
  const top = Math.floor(2 ** 32 / limit) * limit;
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return number < top ? number % limit : below(limit);
}
const pick = (list) => list[below(list.length)];
const word = () => pick(starts) + pick(vowels) + pick(ends);

// The secret and its bits of entropy.
function secret(length) {
  if (kind === 'Passphrase') {
    const bits = Math.log2(starts.length * vowels.length * ends.length);
    return [Array.from({ length }, () => word()).join('-'), bits * length];
  }
  if (kind === 'PIN') return [Array.from({ length }, () => below(10)).join(''), Math.log2(10) * length];
  const form = $('#settings').elements;
  const readable = (set) => (form.clear.checked ? set.replace(/[Il1O0o]/g, '') : set);
  const chosen = Object.keys(sets).filter((name) => form[name].checked).map((name) => readable(sets[name]));
  if (!chosen.length) return ['Choose some characters', 0];
  const all = chosen.join('');
  for (;;) {
    const text = Array.from({ length }, () => pick(all)).join('');
    if (chosen.every((set) => [...text].some((c) => set.includes(c)))) return [text, Math.log2(all.length) * length];
  }
}

function show() {
  const [text, bits] = secret(Number($('#length').value));
  const strength = bits < 40 ? 'weak' : bits < 65 ? 'fair' : bits < 90 ? 'strong' : 'very strong';
  $('#secret').textContent = text;
  $('#length-text').textContent = `${$('#length').value} ${kind === 'Passphrase' ? 'words' : 'characters'}`;
  $('#bar').style.width = `${Math.min(100, bits)}%`;
  $('#strength').textContent = `${Math.round(bits)} bits: ${strength}`;
}

function choose(to) {
  kind = to;
  const [min, max, value] = limits[kind];
  Object.assign($('#length'), { min, max, value });
  $('#sets').hidden = kind !== 'Password';
  tabs($('#kinds'), Object.keys(limits).map((name) => [name, name]), kind, choose);
  show();
}

$('#settings').oninput = show;
$('#settings').onsubmit = (event) => event.preventDefault();
$('#again').onclick = show;
$('#copy').onclick = async () => {
  $('#strength').textContent = (await copy($('#secret').textContent)) ? 'Copied.' : 'Copying is not allowed here: select the text instead.';
};
choose(kind);
