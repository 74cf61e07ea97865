const $ = (selector) => document.querySelector(selector);

// What stays between visits. A sandboxed page has no storage; there it lasts until the page is closed.
const kept = {
  read(key, fallback) {
    try {
      const text = localStorage.getItem(key);
      return text === null ? fallback : JSON.parse(text);
    } catch {
      return fallback;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Nothing to do: the page goes on without it.
    }
  },
};

// An element with its properties, attributes, listeners (onclick: …) and children.
function make(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// Buttons of which one is pressed.
function tabs(place, choices, chosen, choose) {
  place.replaceChildren(...choices.map(([value, text]) =>
    make('button', { type: 'button', textContent: text, 'aria-pressed': String(value === chosen), onclick: () => choose(value) })));
}

