// Small words for the document.
export const $ = (s, root = document) => root.querySelector(s);
export const $$ = (s, root = document) => [...root.querySelectorAll(s)];

// Markup that the server has made. It is never made from anything else.
export function fragment(html) {
  const t = document.createElement('template');
  t.innerHTML = html.trim();
  return t.content;
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
for (const t of $$('.toast', box || document)) setTimeout(() => t.remove(), 5000);

export async function getJson(url) {
  const r = await fetch(url, { headers: { accept: 'application/json' } });
  if (!r.ok) throw new Error(r.status);
  return r.json();
}
