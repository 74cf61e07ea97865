let notes = kept.read('notes', app.notes);
let current = notes[0];

const escaped = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// Inline Markdown; the text is escaped first, and only web and mail links become links.
const inline = (text) => escaped(text)
  .replace(/`([^`]+)`/g, '<code>$1</code>')
  .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
  .replace(/\*([^*]+)\*/g, '<em>$1</em>')
  .replace(/~~([^~]+)~~/g, '<del>$1</del>')
  .replace(/\[([^\]]+)\]\(((?:https?:\/\/|mailto:)[^)\s]+)\)/g, '<a href="$2" rel="noopener" target="_blank">$1</a>');

function listItem(text) {
  const task = /^\[([ xX])\] (.*)/.exec(text);
  if (!task) return `<li>${inline(text)}</li>`;
  return `<li><label class="check"><input type="checkbox" disabled ${task[1] === ' ' ? '' : 'checked'}><span>${inline(task[2])}</span></label></li>`;
}

const blocks = [
  [/^(#{1,3}) (.*)/, ([, marks, text]) => `<h${marks.length}>${inline(text)}</h${marks.length}>`],
  [/^(-{3,}|\*{3,})$/, () => '<hr>'],
  [/^> ?(.*)/, ([, text]) => inline(text), 'blockquote'],
  [/^[-*] (.*)/, ([, text]) => listItem(text), 'ul'],
  [/^\d+[.)] (.*)/, ([, text]) => listItem(text), 'ol'],
  [/^(.+)/, ([, text]) => `${inline(text)} `, 'p'],
];

function markdown(text) {
  const out = [];
  let open = '';
  const enter = (tag) => {
    if (tag === open) return;
    if (open) out.push(`</${open}>`);
    if (tag) out.push(`<${tag}>`);
    open = tag;
  };
  text.split(/^```.*$/m).forEach((part, i) => {
    if (i % 2) {
      enter('');
      out.push(`<pre>${escaped(part.trim())}</pre>`);
      return;
    }
    for (const row of part.split('\n')) {
      const block = blocks.find(([pattern]) => pattern.test(row.trim()));
      enter((block && block[2]) || '');
      if (block) out.push(block[1](block[0].exec(row.trim())));
    }
  });
  enter('');
  return out.join('');
}

function showList() {
  const wanted = $('#search').value.trim().toLowerCase();
  const found = notes.filter((note) => `${note.name} ${note.text}`.toLowerCase().includes(wanted));
  tabs($('#notes'), found.map((note) => [note, note.name || 'Untitled']), current, open);
  if (!found.length) $('#notes').append(make('small', { textContent: 'No note has that.' }));
}

function showPreview() {
  $('#preview').innerHTML = markdown(current.text) || '<p class="empty">The preview appears here.</p>';
  const words = current.text.split(/\s+/).filter(Boolean).length;
  $('#count').textContent = `${words} words`;
}

function open(note) {
  current = note;
  $('#name').value = note.name;
  $('#text').value = note.text;
  showList();
  showPreview();
}

function add() {
  const note = { name: '', text: '' };
  notes.unshift(note);
  open(note);
  return note;
}

for (const field of ['name', 'text']) {
  $(`#${field}`).oninput = (event) => {
    current[field] = event.target.value;
    kept.write('notes', notes);
    showPreview();
    showList();
  };
}
$('#search').oninput = showList;
$('#new').onclick = () => {
  $('#search').value = '';
  add();
  $('#name').focus();
};
$('#delete').onclick = () => {
  notes = notes.filter((note) => note !== current);
  kept.write('notes', notes);
  open(notes[0] || add());
};
open(current || add());
