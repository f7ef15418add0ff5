// One incident: panels are drawn again when they change; lines are added at the end of what is read.
import { $, $$, fragment, getJson, whisper } from './util.js';

const page = $('#incident');
const id = page?.dataset.id;
const log = $('.thoughts');
const follow = $('[data-follow]');
let following = true;
// Open as long as it is written, unless the reader has folded or unfolded it.
let unfolded = $('.thoughts-fold[open]');
let told = 0;

// Open parts and the focus stay; a panel that somebody types in is left alone until they are done.
export function draw(of, panels, mine) {
  if (!page || of !== id) return;
  for (const [name, html] of Object.entries(panels)) {
    if (name.startsWith('n-')) {
      const n = $(`[data-n="${name.slice(2)}"]`);
      if (n) n.textContent = html;
      continue;
    }
    if (name === 'thoughts') { lines(html); continue; }
    if (name === 'gone') { gone(html); continue; }
    if (name === 'folds') { fold(); continue; }
    const panel = $(`[data-panel="${name}"]`);
    if (!panel) continue;
    const next = fragment(html);
    const probe = document.createElement(panel.tagName);
    probe.append(next);
    for (const t of $$('time[data-rel]', probe)) t.textContent = '';
    const was = panel.cloneNode(true);
    for (const t of $$('time[data-rel]', was)) t.textContent = '';
    if (probe.innerHTML === was.innerHTML) continue;
    if (!mine && $$('textarea,input', panel).some((t) => t === document.activeElement || t.value !== t.defaultValue || t.checked !== t.defaultChecked)) continue;
    const open = $$('details', panel).map((d) => d.open);
    const focus = panel.contains(document.activeElement) ? $$('a,button,summary', panel).indexOf(document.activeElement) : -1;
    const scroll = panel.scrollTop;
    panel.replaceChildren(fragment(html));
    $$('details', panel).forEach((d, n) => { d.open = !!open[n] && !(mine && d.matches('.retitle,.menu')); });
    if (focus >= 0) $$('a,button,summary', panel)[focus]?.focus({ preventScroll: true });
    panel.scrollTop = scroll;
    if (name === 'evidence') panel.hidden = !$('dl > div', panel);
  }
}

let timer = 0;
export function stale(of) {
  if (!page || of !== id || timer) return;
  timer = setTimeout(async () => {
    timer = 0;
    const shown = $$('[data-alert]').map((r) => r.dataset.alert);
    try { draw(id, (await getJson(`/incidents/${id}/panels?alerts=${shown}`)).panels); } catch { /* the next event asks again */ }
  }, 300);
}
export const reread = () => page && stale(id);

// What somebody else took out stays where it is read, and says so.
function gone(ids) {
  for (const r of $$('[data-alert]')) {
    const out = ids.includes(r.dataset.alert);
    r.classList.toggle('gone', out);
    for (const b of $$('.pick', r)) b.disabled = out;
  }
}
// Done: it folds to its line where nothing in sight moves by that.
function fold() {
  if (!unfolded || unfolded.contains(document.activeElement) || unfolded.getBoundingClientRect().top < innerHeight) return;
  unfolded.open = false;
  unfolded = null;
}

function lines(html) {
  if (!log) return;
  for (const li of fragment(`<ol>${html}</ol>`).querySelectorAll('li')) {
    const old = $(`[data-n="${li.dataset.n}"]`, log);
    if (!old) log.append(li);
    else if (old.innerHTML !== li.innerHTML) old.innerHTML = li.innerHTML;
  }
  keep();
}
const keep = () => { if (log && following) log.scrollTop = log.scrollHeight; };

export function onThought(e) {
  if (!log || e.id !== id) return;
  if (e.n === 1) log.replaceChildren();
  if ($(`[data-n="${e.n}"]`, log)) return;
  log.append(fragment(e.html));
  keep();
  if (Date.now() - told > 20000) { told = Date.now(); whisper('New finding'); }
}

// What comes while the page is open stands at the end, so many of them: the page of a storm does not grow without end, and
// the list of alerts has all.
const most = ($('#members')?.rows.length || 0) + 20;
export function onAlert(e) {
  const body = $('#members');
  if (!body || body.rows.length >= most || e.id !== id || $(`[data-alert="${e.alert}"]`, body)) return;
  const tr = fragment(`<table><tbody>${e.html}</tbody></table>`).querySelector('tr');
  if (!tr) return;
  $('.w', tr)?.append(' ', Object.assign(document.createElement('span'), { className: 'tag ember', textContent: 'new' }));
  body.append(tr);
}

if (log) {
  $('.thoughts-fold summary').addEventListener('click', () => { unfolded = null; });
  log.addEventListener('scroll', () => {
    following = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    follow?.setAttribute('aria-pressed', following);
  }, { passive: true });
  follow?.addEventListener('click', () => { following = !following; follow.setAttribute('aria-pressed', following); keep(); });
  keep();
}

// Tabs say where the reader is.
const tabs = $$('.anchors a[href^="#"]');
if (tabs.length && 'IntersectionObserver' in window) {
  const seen = new IntersectionObserver((all) => {
    for (const x of all) if (x.isIntersecting) for (const t of tabs) { if (t.hash === '#' + x.target.id) t.setAttribute('aria-current', 'true'); else t.removeAttribute('aria-current'); }
  }, { rootMargin: '-20% 0px -70% 0px' });
  for (const t of tabs) { const s = $(t.hash); if (s) seen.observe(s); }
}

// Next and previous in the order of the list that the reader came from.
export function step(by) {
  const a = $(`[data-step="${by}"][href]`);
  if (a) location.href = a.href;
}
if (page) {
  try {
    const order = JSON.parse(sessionStorage.getItem('order') || 'null');
    const at = order ? order.ids.indexOf(id) : -1;
    if (order) $('#back').href = order.back;
    if (at >= 0 && order.ids.length > 1) {
      $('#neighbours').hidden = false;
      for (const a of $$('[data-step]')) {
        const to = order.ids[at + Number(a.dataset.step)];
        if (to) a.href = '/incidents/' + to; else a.hidden = true;
      }
    }
  } catch { /* storage may be closed */ }
}
