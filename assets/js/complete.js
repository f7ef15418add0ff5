// Completion of a query: fields, then values. The text stays the truth; this only writes into it.
import { $, $$, getJson } from './util.js';

const input = $('[data-complete]');
const box = document.createElement('ul');
let timer = 0;
let asked = 0;
let at = -1;

// The term that the caret is in: where it begins, whether it is left out, its field, and what is typed of the last value.
function term() {
  const before = input.value.slice(0, input.selectionStart);
  let start = 0, quoted = false;
  for (let i = 0; i < before.length; i++) {
    if (before[i] === '"') quoted = !quoted;
    else if (/\s/.test(before[i]) && !quoted) start = i + 1;
  }
  const text = before.slice(start), minus = text.startsWith('-') ? 1 : 0, colon = quoted ? -1 : text.indexOf(':');
  if (colon < 0) return { from: start + minus, field: '', typed: text.slice(minus) };
  const value = Math.max(colon, text.lastIndexOf(',')) + 1;
  return { from: start + value, field: text.slice(minus, colon), typed: text.slice(value) };
}
function close() {
  box.hidden = true;
  at = -1;
  input.setAttribute('aria-expanded', 'false');
  input.removeAttribute('aria-activedescendant');
}
function mark(n) {
  const all = $$('li', box);
  at = (n + all.length) % all.length;
  all.forEach((li, i) => li.setAttribute('aria-selected', i === at));
  input.setAttribute('aria-activedescendant', all[at].id);
  all[at].scrollIntoView({ block: 'nearest' });
}
function take(li) {
  const t = term(), value = li.dataset.value, done = !value.endsWith(':') && !value.endsWith('.');
  const rest = input.value.slice(input.selectionStart);
  input.setRangeText(value + (done && !rest.startsWith(' ') ? ' ' : ''), t.from, input.selectionStart, 'end');
  close();
  if (!done) ask();
}
function ask() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const t = term(), mine = ++asked;
    const found = await getJson('/complete?' + new URLSearchParams({ of: input.dataset.complete, field: t.field, typed: t.typed.replace(/^([<>]=?|")/, '') })).catch(() => null);
    // Answers that come late are of what was typed before.
    if (!found || mine !== asked || document.activeElement !== input) return;
    const offers = found.offers.filter((o) => o.value !== t.typed);
    box.replaceChildren(...offers.map((o, i) => {
      const li = Object.assign(document.createElement('li'), { id: 'qc' + i, role: 'option', textContent: o.value });
      li.dataset.value = o.value;
      li.setAttribute('aria-selected', 'false');
      if (o.help) li.append(Object.assign(document.createElement('span'), { textContent: o.help, className: 'faint right' }));
      return li;
    }));
    at = -1;
    box.hidden = !offers.length;
    input.setAttribute('aria-expanded', String(!box.hidden));
  }, 150);
}

if (input) {
  Object.assign(box, { id: 'q-list', className: 'pop', hidden: true, role: 'listbox' });
  box.setAttribute('aria-label', 'Completions');
  input.after(box);
  for (const [name, value] of [['role', 'combobox'], ['aria-controls', 'q-list'], ['aria-autocomplete', 'list'], ['aria-expanded', 'false']]) input.setAttribute(name, value);
  input.addEventListener('input', ask);
  input.addEventListener('blur', () => { asked++; clearTimeout(timer); close(); });
  input.addEventListener('keydown', (e) => {
    if (e.key === 'ArrowDown' && box.hidden) return ask();
    if (box.hidden || e.isComposing) return;
    const run = { ArrowDown: () => mark(at + 1), ArrowUp: () => mark(at < 0 ? -1 : at - 1), Escape: close, Enter: at < 0 ? null : () => take(box.children[at]) }[e.key];
    if (!run) return;
    e.preventDefault();
    e.stopPropagation();
    run();
  });
  // Before the field loses the focus.
  box.addEventListener('mousedown', (e) => { e.preventDefault(); const li = e.target.closest('li'); if (li) take(li); });
}

// Counts of the facets that come a moment after the rows.
const counted = $('[data-counts]');
if (counted) {
  getJson(counted.dataset.counts + '?' + new URLSearchParams({ q: counted.dataset.q })).then((r) => {
    for (const el of $$('[data-facet]')) el.textContent = r.counts[el.dataset.facet] || '0';
    if (r.note) counted.textContent = r.note;
  }).catch(() => { /* the rows are there */ });
}
