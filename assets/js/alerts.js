// The list of alerts: known rows change in place, new ones wait behind a button; dragging over the chart chooses a time.
import { $, fragment, getJson, whisper } from './util.js';
import { replaceRow } from './list.js';

const body = $('#alert-rows');
const pill = $('#newalerts');
const waiting = new Map();
let timer = 0;
let asked = 0;
let rest = 3000;
let announced = 0;

// A page further back changes only by what is on it.
export function stale() {
  if (!body || timer) return;
  // A storm is looked at every three seconds at most.
  timer = setTimeout(async () => {
    timer = 0;
    asked = Date.now();
    try {
      const { rows, heading, sub } = await getJson('/alerts/rows?' + new URLSearchParams({ q: body.dataset.q }));
      $('[data-heading]').textContent = heading;
      $('[data-sub]').textContent = sub;
      // What takes the server long is asked for seldom.
      rest = Math.max(3000, 20 * (Date.now() - asked));
      for (const r of [...rows].reverse()) {
        if (replaceRow(r.id, r.html)) continue;
        if (pill) waiting.set(r.id, r.html);
      }
      tell();
    } catch { /* the next event asks again */ }
  }, Math.max(700, asked + rest - Date.now()));
}
function tell() {
  const n = waiting.size;
  if (!n) return;
  const words = `${n} new alert${n === 1 ? '' : 's'}`;
  $('[data-n]', pill).textContent = words;
  pill.hidden = false;
  if (Date.now() - announced > 10000) { announced = Date.now(); whisper(words); }
}
function showNew() {
  if (!waiting.size) return;
  let first = null;
  for (const [id, html] of waiting) {
    const tr = fragment(`<table><tbody>${html}</tbody></table>`).querySelector('tr');
    if (!tr || $(`tr[data-row="${CSS.escape(id)}"]`)) continue;
    tr.classList.add('new');
    body.prepend(tr);
    first = tr;
  }
  waiting.clear();
  pill.hidden = true;
  scrollTo({ top: 0 });
  $('a', first || body)?.focus({ preventScroll: true });
}
pill?.querySelector('button').addEventListener('click', showNew);

// Dragging: from the slice where it began to the one where it ends.
const chart = $('[data-chart]');
if (chart) {
  const { from, until, slice, q } = chart.dataset;
  const ns = 'http://www.w3.org/2000/svg';
  let start = null;
  let box = null;
  const at = (e) => {
    const r = chart.getBoundingClientRect();
    return Math.min(1, Math.max(0, (e.clientX - r.left) / r.width));
  };
  const cancel = () => { start = null; box?.remove(); box = null; };
  chart.addEventListener('pointerdown', (e) => { if (e.button === 0) { start = at(e); } });
  // A picture of a link must not be dragged away.
  chart.addEventListener('dragstart', (e) => e.preventDefault());
  chart.addEventListener('pointermove', (e) => {
    if (start === null) return;
    const x = at(e);
    if (!box && Math.abs(x - start) < 0.01) return;
    if (!box) {
      box = document.createElementNS(ns, 'rect');
      box.setAttribute('class', 'drag');
      box.setAttribute('height', 110);
      chart.append(box);
      chart.setPointerCapture(e.pointerId);
    }
    box.setAttribute('x', Math.min(x, start) * 1000);
    box.setAttribute('width', Math.abs(x - start) * 1000);
  });
  chart.addEventListener('pointerup', (e) => {
    if (!box) return cancel();
    const span = until - from;
    const [a, b] = [start, at(e)].sort((m, n) => m - n);
    const begin = Math.floor((a * span) / slice) * slice + Number(from);
    const end = Math.ceil((b * span) / slice) * slice + Number(from);
    cancel();
    const minute = (t) => new Date(t).toISOString().slice(0, 16) + 'Z';
    location.href = '/alerts?' + new URLSearchParams({ q, since: minute(begin), until: minute(end), by: 'range' });
  });
  addEventListener('keydown', (e) => { if (e.key === 'Escape') cancel(); });
  chart.addEventListener('pointercancel', cancel);
  // The click that ends a drag is none.
  chart.addEventListener('click', (e) => { if (box) e.preventDefault(); });
}
