// Forms of incidents are sent in the background; the answer holds what to draw. Without this they are plain forms.
import { $, $$, say, fragment } from './util.js';
import { draw } from './incident.js';
import { refused, replaceRow } from './list.js';

// Sends an action. `where` takes the banner of a refusal.
export async function act(url, body = new URLSearchParams()) {
  let r;
  try {
    r = await fetch(url, { method: 'POST', body, headers: { accept: 'application/json' } });
  } catch {
    say('Not sent: the server cannot be reached. Try again.');
    return false;
  }
  if (r.redirected || !(r.headers.get('content-type') || '').includes('json')) {
    // Signed out, or an error page: the plain way says what is wrong.
    if (r.redirected) location.href = r.url;
    else say('Not done: the server answered ' + r.status);
    return false;
  }
  const answer = await r.json();
  $('#refused')?.remove();
  if (answer.refused) {
    if (answer.panels) draw(answer.id, answer.panels);
    const banner = fragment(answer.refused);
    const main = $('#main');
    const before = $('.anchors', main) || $('#watch', main) || main.firstChild;
    before.before(banner);
    $('#refused')?.scrollIntoView({ block: 'center' });
    return false;
  }
  if (!r.ok) { say(answer.detail || 'Not done'); return false; }
  if (answer.panels) draw(answer.id, answer.panels, true);
  if (answer.row) replaceRow(answer.id, answer.row);
  refused(answer.rows);
  say(answer.said, answer.undo && (() => act(answer.undo)));
  return true;
}

document.addEventListener('submit', async (e) => {
  const f = e.target;
  const url = e.submitter?.getAttribute('formaction') || f.getAttribute('action') || '';
  // What makes another page the right one to look at goes the plain way.
  const plain = (f.hasAttribute('data-plain') && e.submitter?.name !== 'only') || e.submitter?.value === 'merge';
  if (f.method !== 'post' || !url.startsWith('/incidents/') || plain) return;
  if (url === '/incidents/bulk') return bulk(e, f, url);
  e.preventDefault();
  const body = new URLSearchParams(new FormData(f, e.submitter));
  for (const b of $$('button', f)) b.disabled = true;
  const done = await act(url, body);
  for (const b of $$('button', f)) b.disabled = false;
  if (done) {
    for (const t of $$('textarea', f)) t.value = '';
    f.closest('dialog')?.close();
    f.closest('#resolve-form,#ask')?.remove();
  } else if (f.closest('dialog[open]') && $('#refused')) f.prepend($('#refused'));
});

async function bulk(e, f, url) {
  e.preventDefault();
  const data = new FormData(f, e.submitter);
  if (data.get('do') === 'resolve' && !data.has('reason')) return askReason((data.has('all') ? $('[data-whole]').dataset.whole : data.getAll('id').length) + ' incidents', url, data);
  const done = await act(url, new URLSearchParams(data));
  const d = f.closest('dialog');
  d?.close();
  if (!done) return;
  if (d) $('textarea', d).value = '';
  for (const m of $$('[open]', f)) m.open = false;
  for (const c of $$('#list tbody input:checked')) c.click();
}

// A question that the page asks at its own address, as a dialog.
async function ask(a) {
  const r = await fetch(a.href).catch(() => null);
  const s = r?.ok && new DOMParser().parseFromString(await r.text(), 'text/html').querySelector(a.hash);
  if (!s) { location.href = a.href; return; }
  const d = document.createElement('dialog');
  $(a.hash)?.remove();
  s.className = '';
  d.append(s);
  d.setAttribute('aria-label', $('h2', d).textContent);
  d.onclose = () => d.remove();
  document.body.append(d);
  d.showModal();
}

// The dialog for the reason, for one incident or for the selected ones.
export function askReason(what, url, data) {
  const d = $('#resolve');
  if (!d) return;
  const f = $('form', d);
  $('[data-what]', d).textContent = what;
  f.action = url;
  for (const i of $$('input[type=hidden]', f)) i.remove();
  for (const [name, value] of data || []) if (name !== 'reason') f.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
  if (url === '/incidents/bulk') f.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'do', value: 'resolve' }));
  d.showModal();
  $('textarea', d).focus();
}

document.addEventListener('click', (e) => {
  const r = e.target.closest('[data-resolve]');
  if (r && $('#resolve')) {
    e.preventDefault();
    askReason($('#incident')?.dataset.id || '', r.dataset.resolve + '/resolve');
  }
  const q = e.target.closest('a[data-ask]');
  if (q) {
    e.preventDefault();
    q.closest('details')?.removeAttribute('open');
    ask(q);
  }
  const c = e.target.closest('dialog [data-close]');
  if (c) {
    e.preventDefault();
    c.closest('dialog').close();
  }
  for (const d of $$('details.menu[open]')) if (!d.contains(e.target)) d.open = false;
});
document.addEventListener('change', (e) => { if (e.target.matches('[data-submit]')) e.target.form.requestSubmit(); });
