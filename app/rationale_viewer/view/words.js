// A text whose words can be pointed at, walked through with the arrow keys, clicked and replaced, and whose
// layers are walked through by a slider: all of it on this page, except what the model has to be asked.
const states = new WeakMap();
const BEAT_MS = 900;

const made = (tag, more = {}, ...inside) => {
  const one = Object.assign(document.createElement(tag), more);
  one.append(...inside);
  return one;
};

function listen(state) {
  const { text, told } = state;
  const word = (event) => event.target.closest?.('.w[data-i]');
  const pick = (w) => {
    if (!state.clickable) return;
    if (state.waiting) state.waiting(w);
    state.send('clicked', Number(w.dataset.i));
  };
  const tell = (event) => { const w = word(event); if (w) told.textContent = w.title; };
  text.addEventListener('mouseover', tell);
  text.addEventListener('focusin', tell);
  text.addEventListener('click', (event) => { const w = word(event); if (w) { hold(state, w); pick(w); } });
  text.addEventListener('keydown', (event) => {
    const w = word(event), right = getComputedStyle(text).direction === 'rtl' ? -1 : 1;
    const step = { ArrowRight: right, ArrowDown: 1, ArrowLeft: -right, ArrowUp: -1 }[event.key];
    if (!w || (!step && event.key !== 'Enter' && event.key !== ' ')) return;
    event.preventDefault();
    if (!step) { pick(w); return; }
    const next = state.words[state.words.indexOf(w) + step];
    if (next) { hold(state, next); next.focus(); }
  });
}

function hold(state, w) {  // one stop for the Tab key, wherever the arrows led
  state.words.forEach((other) => { other.tabIndex = -1; });
  w.tabIndex = 0;
  state.at = state.words.indexOf(w);
}

// ---- the layers: a slider, a button that plays them, and what each has left

function layerBar(state) {
  const play = made('button', { type: 'button', className: 'play' });
  const slider = made('input', { type: 'range', min: 0, step: 1, value: 0 });
  slider.setAttribute('aria-label', 'Layer');
  const says = made('output', { className: 'says' });
  const bar = made('div', { className: 'layers', hidden: true }, play, slider, says);
  slider.addEventListener('input', () => { stop(state); fade(state, Number(slider.value)); });
  slider.addEventListener('change', () => keep(state));
  play.addEventListener('click', () => (state.timer ? stop(state) : start(state)));
  Object.assign(state, { bar, play, slider, says, layer: 0, timer: 0 });
  face(state);
}

function fade(state, layer) {
  state.layer = layer;
  const { lived, says } = state.layers;
  state.words.forEach((w) => w.classList.toggle('gone', lived[w.dataset.i] < layer));
  state.slider.value = layer;
  state.slider.setAttribute('aria-valuetext', says[layer]);
  state.says.textContent = says[layer];
}

function keep(state) { state.set('layer', state.layer); }  // into the address

function start(state) {
  const depth = state.layers.says.length - 1;
  fade(state, state.layer >= depth ? 0 : state.layer + 1);
  state.timer = setInterval(() => {
    fade(state, Math.min(state.layer + 1, depth));
    if (state.layer >= depth) stop(state);
  }, BEAT_MS);
  face(state);
}

function stop(state) {
  if (!state.timer) return;
  clearInterval(state.timer);
  state.timer = 0;
  face(state);
  keep(state);
}

function face(state) {
  state.play.textContent = state.timer ? '❚❚' : '▶';
  state.play.setAttribute('aria-label', state.timer ? 'Pause' : 'Play the layers');
}

function showLayers(state, layers) {
  state.layers = layers;
  state.bar.hidden = !layers;
  if (!layers) { if (state.timer) stop(state); return; }
  const depth = layers.says.length - 1;
  state.slider.max = depth;
  if (state.given !== layers.at) { state.given = layers.at; state.layer = layers.at; }
  fade(state, Math.min(state.layer, depth));
}

// ---- beside the word that was clicked: what the model says now, and words to put in its place

function besideBox(state) {
  const says = made('p', { className: 'answer-now' });
  const field = made('input', { type: 'text', maxLength: 60, placeholder: 'another word' });
  field.setAttribute('aria-label', 'Replace the word by');
  const replace = made('button', { type: 'submit', textContent: 'Replace' });
  const form = made('form', {}, field, replace);
  const words = made('div', { className: 'instead' });
  const close = made('button', { type: 'button', className: 'close-it', textContent: '×' });
  close.setAttribute('aria-label', 'Close');
  const back = made('button', { type: 'button', className: 'back', textContent: 'Put back' });
  const box = made('div', { className: 'beside', hidden: true }, close, says, form, words, back);
  box.setAttribute('role', 'group');
  const swap = (word) => { says.textContent = '…'; state.send('swapped', [state.beside.index, word]); };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (field.value.trim()) swap(field.value.trim());
  });
  words.addEventListener('click', (event) => {
    if (event.target.dataset.word !== undefined) swap(event.target.dataset.word);
  });
  back.addEventListener('click', () => swap(''));
  const leave = () => {
    box.hidden = true;
    state.closed = state.beside?.index;
    state.words[state.at]?.focus();
  };
  close.addEventListener('click', leave);
  box.addEventListener('keydown', (event) => { if (event.key === 'Escape') leave(); });
  Object.assign(state, { box, field, besideSays: says, instead: words, back });
  state.waiting = (w) => { state.closed = undefined; says.textContent = '…'; place(state, w); };
}

function place(state, w) {  // below the word, inside the text's own width
  const { box, text } = state;
  box.hidden = false;
  const left = w.offsetLeft, wide = text.parentElement.clientWidth;
  box.style.left = `${Math.max(0, Math.min(left, wide - box.offsetWidth))}px`;
  box.style.top = `${w.offsetTop + w.offsetHeight + 6}px`;
}

function showBeside(state, beside) {
  const other = beside?.index !== state.beside?.index;
  state.beside = beside;
  if (!beside) { state.box.hidden = true; return; }
  if (state.closed === beside.index && !other) return;
  state.besideSays.textContent = beside.says;
  state.box.setAttribute('aria-label', beside.word);
  if (other) state.field.value = '';
  state.back.hidden = !beside.changed;
  state.instead.replaceChildren(...beside.instead.map((word) => {
    const one = made('button', { type: 'button', textContent: word });
    one.dataset.word = word;
    return one;
  }));
  const w = state.words.find((one) => Number(one.dataset.i) === beside.index);
  if (w) place(state, w);
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  let state = states.get(parentElement);
  if (!state) {
    state = { text: made('div'), told: made('div', { className: 'told' }), at: 0, words: [] };
    state.told.setAttribute('aria-live', 'polite');
    layerBar(state);
    besideBox(state);
    const around = made('div', { className: 'around' }, state.text, state.box);
    parentElement.append(around, state.told, state.bar);
    states.set(parentElement, state);
    listen(state);
  }
  state.send = setTriggerValue;
  state.set = setStateValue;
  state.clickable = data.clickable;
  if (state.body !== data.body) {
    const root = parentElement.getRootNode(), inside = state.text.contains(root.activeElement);
    state.text.innerHTML = state.body = data.body;
    state.told.textContent = data.hint;
    state.words = [...state.text.querySelectorAll('.w[data-i]')];
    state.words.forEach((w) => w.setAttribute('role', data.clickable ? 'button' : 'note'));
    if (state.words.length) {
      hold(state, state.words[state.at] ?? state.words[0]);
      if (inside) state.words[state.at].focus();
    }
  }
  showLayers(state, data.layers);
  showBeside(state, data.beside);
  return () => { clearInterval(state.timer); };
}
