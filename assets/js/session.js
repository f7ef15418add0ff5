// What is typed outlives a session that ends, and its end is said two minutes before.
import { $, $$ } from './util.js';
import { now } from './time.js';

const SHELF = 'typed';
const typed = () => $$('textarea,input[type=text],input[type=search]').filter((e) => e.name && e.form?.method === 'post' && e.value !== e.defaultValue && !e.hidden);
const name = (e) => (e.form.getAttribute('action') || '') + ' ' + e.name;

const entrance = location.pathname.startsWith('/login');
let sent = false;
document.addEventListener('submit', (e) => queueMicrotask(() => { sent = !e.defaultPrevented && e.target.method === 'post'; }));
addEventListener('pagehide', () => {
  const all = typed().map((e) => [name(e), e.value]);
  if (all.length && !entrance) sessionStorage.setItem(SHELF, JSON.stringify({ at: location.pathname, all, sent }));
});

// On the page of sign-in it stays on the shelf: what was sent has not arrived.
const kept = JSON.parse(sessionStorage.getItem(SHELF) || 'null');
if (kept && entrance) sessionStorage.setItem(SHELF, JSON.stringify({ ...kept, sent: false }));
else if (kept && (kept.sent || kept.at === location.pathname)) {
  sessionStorage.removeItem(SHELF);
  if (!kept.sent) for (const [key, value] of kept.all) {
    const e = $$('textarea,input').find((e) => e.form && e.name && name(e) === key && !e.value);
    if (e) e.value = value;
  }
}

let ends = Number(document.documentElement.dataset.ends);
function watch() {
  const left = ends - now();
  if (!ends) return;
  // A timer of more than 24 days would run at once.
  if (left > 120000) return setTimeout(watch, Math.min(left - 120000, 3600000));
  const box = $('.toasts');
  if (!box || $('#ending')) return;
  const t = Object.assign(document.createElement('div'), { className: 'toast', id: 'ending' });
  const text = Object.assign(document.createElement('span'), { className: 'grow', textContent: left > 0 ? 'Your session ends in 2 minutes. What you typed is kept.' : 'Your session has ended. What you typed is kept.' });
  const b = Object.assign(document.createElement('button'), { className: 'btn sm', textContent: 'Stay signed in', type: 'button' });
  b.onclick = async () => {
    const r = await fetch('/session/extend', { method: 'POST', headers: { accept: 'application/json' } }).catch(() => null);
    const a = r?.ok && !r.redirected ? await r.json() : null;
    if (!a || a.ends - now() < 120000) return location.reload();
    ends = a.ends;
    t.remove();
    watch();
  };
  t.append(text, b);
  box.append(t);
}
watch();
