let recipes = kept.read('recipes', app.recipes);
let kind = 'All';
let current = recipes[0];
let servings = current ? current.servings : 1;

// "200 g flour" for twice the people is "400 g flour"; lines without a leading number stay.
function scaled(line, factor) {
  return line.replace(/^(\d+(?:[.,]\d+)?)/, (number) => String(Math.round(Number(number.replace(',', '.')) * factor * 100) / 100));
}

function choose(recipe) {
  current = recipe;
  servings = recipe ? recipe.servings : 1;
  show();
}

function showRecipe() {
  $('#recipe').hidden = !current;
  if (!current) return;
  $('#name').textContent = current.name;
  $('#kind').textContent = current.kind;
  $('#servings').textContent = `${servings} ${servings === 1 ? 'serving' : 'servings'}`;
  $('#fewer').disabled = servings === 1;
  $('#ingredients').replaceChildren(...current.ingredients.map((line) =>
    make('li', {}, make('label', { className: 'check' }, make('input', { type: 'checkbox' }), make('span', { textContent: scaled(line, servings / current.servings) })))));
  $('#steps').replaceChildren(...current.steps.map((step) => make('li', { textContent: step })));
}

function show() {
  kept.write('recipes', recipes);
  const kinds = ['All', ...new Set(recipes.map((recipe) => recipe.kind))];
  if (!kinds.includes(kind)) kind = 'All';
  tabs($('#kinds'), kinds.map((name) => [name, name]), kind, (to) => { kind = to; show(); });
  const wanted = $('#search').value.trim().toLowerCase();
  const found = recipes.filter((recipe) => (kind === 'All' || recipe.kind === kind) && `${recipe.name} ${recipe.ingredients.join(' ')}`.toLowerCase().includes(wanted));
  $('#cards').replaceChildren(...found.map((recipe) =>
    make('button', { type: 'button', 'aria-pressed': String(recipe === current), onclick: () => choose(recipe) }, recipe.name, make('small', { textContent: `${recipe.kind} · ${recipe.ingredients.length} ingredients` }))));
  if (!found.length) $('#cards').append(make('p', { className: 'empty', textContent: 'No recipe has that.' }));
  showRecipe();
}

function serve(number) {
  servings = Math.max(1, number);
  showRecipe();
}

const lines = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);
$('#search').oninput = show;
$('#fewer').onclick = () => serve(servings - 1);
$('#more').onclick = () => serve(servings + 1);
$('#delete').onclick = () => {
  recipes = recipes.filter((recipe) => recipe !== current);
  choose(recipes[0]);
};
$('#add').onsubmit = (event) => {
  event.preventDefault();
  const form = event.target.elements;
  recipes.unshift({ name: form.name.value.trim(), kind: form.kind.value.trim() || 'Other', servings: Number(form.servings.value), ingredients: lines(form.ingredients.value), steps: lines(form.steps.value) });
  event.target.reset();
  event.target.parentElement.open = false;
  [kind, $('#search').value] = ['All', ''];
  choose(recipes[0]);
};
show();
