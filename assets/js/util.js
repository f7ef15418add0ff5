// Small words for the document.
export const $ = (s, root = document) => root.querySelector(s);
export const $$ = (s, root = document) => [...root.querySelectorAll(s)];

// Markup that the server has made. It is never made from anything else.
export function fragment(html) {
  const t = document.createElement('template');
  t.innerHTML = html.trim();
  for (const el of $$('time[title$=UTC]', t.content)) here(el);
  return t.content;
}

// What is sent to everybody says its times in UTC; pages have them in the reader's zone already.
const { zone, zoneName } = document.documentElement.dataset;
const form = zone && new Intl.DateTimeFormat('en-US', { timeZone: zone, weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
export function clockAt(ms) {
  if (!form) return new Date(ms).toISOString().slice(11, 19);
  return time(ms).clock;
}
function time(ms) {
  const p = Object.fromEntries(form.formatToParts(ms).map((x) => [x.type, x.value]));
  const clock = `${p.hour}:${p.minute}:${p.second}`;
  return { clock, day: `${p.day} ${p.month}`, full: `${p.weekday} ${p.day} ${p.month} ${p.year}, ${clock} ${zoneName}` };
}
function here(el) {
  if (!form) return;
  const t = time(Date.parse(el.dateTime));
  el.title = t.full;
  el.textContent = el.textContent.replace(/^\d+ \w+(?=, \d\d:)/, t.day).replace(/\d\d:\d\d:\d\d/, t.clock);
}

const box = $('.toasts');

// One polite region for every outcome. With `undo`, eight seconds to take it back.
export function say(text, undo) {
  if (!box || !text) return;
  const t = Object.assign(document.createElement('div'), { className: 'toast' });
  t.append(Object.assign(document.createElement('span'), { textContent: text, className: 'grow' }));
  if (undo) {
    const b = Object.assign(document.createElement('button'), { className: 'btn sm', textContent: 'Undo', type: 'button' });
    b.onclick = () => { t.remove(); undo(); };
    t.append(b);
  }
  box.append(t);
  setTimeout(() => t.remove(), undo ? 8000 : 5000);
}
// For those who listen; the eye has it already.
export function whisper(text) {
  if (!box) return;
  const t = Object.assign(document.createElement('span'), { className: 'vh', textContent: text });
  box.append(t);
  setTimeout(() => t.remove(), 3000);
}
for (const t of $$('.toast', box || document)) setTimeout(() => t.remove(), 8000);

export async function getJson(url) {
  const r = await fetch(url, { headers: { accept: 'application/json' } });
  if (!r.ok) throw new Error(r.status);
  return r.json();
}
