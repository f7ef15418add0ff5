// The list: known rows change in place, new ones wait behind a button, nothing that is read moves.
import { $, $$, fragment, whisper, getJson } from './util.js';

const list = $('#list');
const pill = $('#newpill');
const pristine = list?.dataset.view === 'default' && !new URLSearchParams(location.search).has('after');
const waiting = new Map();
const MOST = 200;
let cursor = null;
let place = 0;
let announced = 0;

export const rows = () => $$('tr[data-row]');
const row = (id) => $(`tr[data-row="${CSS.escape(id)}"]`);

// The same place, new words; what changed warms for a moment.
export function replaceRow(id, html, fits = true) {
  const old = row(id);
  if (!old) return false;
  const next = fragment(`<table><tbody>${html}</tbody></table>`).querySelector('tr');
  if (!next) return false;
  [...next.cells].forEach((cell, n) => {
    const was = old.cells[n];
    if (!was || n === 0) return;
    if (was.textContent !== cell.textContent) warm(cell);
    if (was.outerHTML !== cell.outerHTML) was.replaceWith(cell);
  });
  if (old.dataset.group !== next.dataset.group) { count(old.dataset.group, -1); count(next.dataset.group, 1); }
  old.dataset.group = next.dataset.group;
  old.classList.toggle('done', next.classList.contains('done'));
  old.classList.toggle('gone', !fits);
  return true;
}
// The row stays where it is read; the numbers over the groups say how many there are now.
function count(group, by) {
  const n = $(`.grp [data-count="${group}"]`);
  if (n && /^\d+$/.test(n.textContent)) n.textContent = Math.max(0, Number(n.textContent) + by);
}
function warm(cell) { cell.classList.add('warm'); setTimeout(() => cell.classList.remove('warm'), 4000); }

function arrived(id, group, severity, html) {
  // A page that waited so long is read again instead.
  waiting.set(id, { group, severity, html: waiting.size < MOST && html });
  if (!pill) return;
  const n = waiting.size, critical = [...waiting.values()].filter((w) => w.severity === 'critical').length;
  const words = `${n} new incident${n === 1 ? '' : 's'}${critical ? `, ${critical} critical` : ''}`;
  $('[data-n]', pill).textContent = words;
  pill.hidden = false;
  if (Date.now() - announced > 10000) { announced = Date.now(); whisper(words); }
}

// Pressing the button adds what waits, at the top of its group, and puts the cursor on the first.
function showNew() {
  if (!waiting.size) return;
  if ($('#empty') || waiting.size > MOST) return location.reload();
  let first = null;
  for (const [id, w] of [...waiting].reverse()) {
    const body = $(`tbody[data-rows="${w.group}"]`) || $('tbody[data-rows]');
    const tr = fragment(`<table><tbody>${w.html}</tbody></table>`).querySelector('tr');
    if (!body || !tr || row(id)) continue;
    tr.classList.add('new');
    body.prepend(tr);
    const head = body.previousElementSibling;
    if (head) head.hidden = false;
    count(body.dataset.rows, 1);
    first = tr;
  }
  waiting.clear();
  pill.hidden = true;
  scrollTo({ top: 0 });
  if (first) mark(first);
}
pill?.querySelector('button').addEventListener('click', showNew);

// Other views than the default one ask the server what fits.
const asked = new Map();
let timer = 0;
function ask(id, created) {
  asked.set(id, created || asked.get(id));
  timer ||= setTimeout(async () => {
    timer = 0;
    const ids = [...asked.keys()];
    const fresh = new Map(asked);
    asked.clear();
    try {
      const { rows: found } = await getJson('/incidents/rows?' + new URLSearchParams({ ids: ids.join(','), q: list.dataset.q }));
      for (const r of found) if (!replaceRow(r.id, r.html, r.fits) && r.fits && fresh.get(r.id)) arrived(r.id, r.group, r.severity, r.html);
    } catch { /* the next event asks again */ }
  }, 400);
}

export function onRow(e) {
  if (!list) return;
  if (waiting.has(e.id)) return arrived(e.id, e.group, e.severity, e.html);
  if (!pristine) return ask(e.id, e.created);
  if (!replaceRow(e.id, e.html) && e.created) arrived(e.id, e.group, e.severity, e.html);
}

// Missed more than can be replayed: what the list should show now, and the difference waits as new.
export async function reread() {
  if (!list) return;
  try {
    const { rows: found } = await getJson('/incidents/rows?' + new URLSearchParams({ q: list.dataset.q }));
    const seen = new Set(found.map((r) => r.id));
    for (const r of found) if (!replaceRow(r.id, r.html)) arrived(r.id, r.group, r.severity, r.html);
    const gone = rows().map((r) => r.dataset.row).filter((id) => !seen.has(id));
    for (let i = 0; i < gone.length; i += 50) {
      const more = await getJson('/incidents/rows?' + new URLSearchParams({ ids: gone.slice(i, i + 50).join(','), q: list.dataset.q }));
      for (const r of more.rows) replaceRow(r.id, r.html, r.fits);
    }
  } catch { /* the next connection tries again */ }
}

// Saved views, in the tabs and in the rail.
export function onViews(views) {
  for (const [id, n] of Object.entries(views || {})) for (const el of $$(`[data-count="${CSS.escape(id)}"]`)) el.textContent = n;
}

let watchAt = 0;
let watchTimer = 0;
export function onCounts(c) {
  for (const [key, n] of [['open', c.open], ['unowned', c.unowned]]) {
    const el = $(`.views [data-count="${key}"]`);
    if (el) el.textContent = n > 99 ? '99+' : n;
  }
  onViews(c.views);
  const panel = $('#watch');
  if (!panel || document.hidden) return;
  const wait = Math.max(0, watchAt + 5000 - Date.now());
  watchTimer ||= setTimeout(async () => {
    watchTimer = 0;
    watchAt = Date.now();
    const r = await fetch('/incidents/watch').catch(() => null);
    if (r?.ok && !r.redirected) panel.replaceChildren(fragment(await r.text()));
  }, wait);
}

// -- cursor and selection: both belong to an incident, not to a place ---------------------------------------------
export function mark(tr) {
  current()?.classList.remove('cur');
  cursor = tr.dataset.row;
  place = rows().indexOf(tr);
  tr.classList.add('cur');
  $('a.t', tr)?.focus({ preventScroll: true });
  tr.scrollIntoView({ block: 'nearest' });
}
// When its row goes, the one that took the place.
export function current() {
  if (!cursor) return null;
  const all = rows();
  const tr = row(cursor) || all[Math.min(place, all.length - 1)] || null;
  if (tr) cursor = tr.dataset.row;
  return tr;
}
export function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(current());
  mark(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
}
export const selected = () => $$('tr[data-row] input:checked').map((c) => c.value);
let lastPicked = null;
export function pick(range) {
  const tr = current();
  const box = tr && $('input[type=checkbox]', tr);
  if (!box) return;
  box.checked = !box.checked;
  if (range && lastPicked) {
    const all = rows(), a = all.indexOf(lastPicked), b = all.indexOf(tr);
    for (const r of all.slice(Math.min(a, b), Math.max(a, b) + 1)) { const c = $('input[type=checkbox]', r); if (c) c.checked = true; }
  }
  lastPicked = tr;
  sync();
}
function sync() {
  const n = selected().length;
  const count = $('[data-count-selected]'), whole = $('[data-whole]');
  if (whole && n < rows().length) whole.checked = false;
  if (whole) whole.parentNode.hidden = n < rows().length;
  if (count) count.textContent = (whole?.checked ? whole.dataset.whole : n) + ' selected';
  for (const r of rows()) r.classList.toggle('sel', !!$('input:checked', r));
}
document.addEventListener('change', (e) => {
  if (e.target.matches('[data-all]')) for (const c of $$('tr[data-row] input[type=checkbox]')) c.checked = e.target.checked;
  if (e.target.closest('.inc') || e.target.matches('[data-whole]')) sync();
});

// What an action was refused for stands in the row.
export function refused(all) {
  for (const { id, why } of all || []) {
    const place = row(id) && $('.why .clip', row(id));
    if (place) { place.textContent = why; row(id).classList.add('no'); }
  }
}

// The order of this list is where j and k lead from an incident's page.
if (list) {
  try { sessionStorage.setItem('order', JSON.stringify({ back: location.pathname + location.search, ids: rows().map((r) => r.dataset.row) })); } catch { /* closed */ }
}
