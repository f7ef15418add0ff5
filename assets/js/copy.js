// Copies the whole text, also when it is cut off on screen; where that is not allowed, selects it.
import { $, say } from './util.js';

async function put(text, source) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied');
  } catch {
    if (!source) return say('Copying is not allowed here');
    getSelection().selectAllChildren(source);
    say('Selected. Press Ctrl+C to copy.');
  }
}

// The key is on no page until somebody asks for it, which is written to the audit log.
async function copyKey(platform) {
  const page = await fetch(`/connectors/${platform}/reveal`, { method: 'POST', body: new URLSearchParams() }).catch(() => null);
  const code = page?.ok && new DOMParser().parseFromString(await page.text(), 'text/html').getElementById('the-key');
  if (code) put(code.textContent); else say('The key could not be read');
}

document.addEventListener('click', (e) => {
  if (e.target.closest('[data-print]')) return print();
  if (e.target.closest('[data-copy-link]')) return put(location.origin + location.pathname);
  const text = e.target.closest('[data-copy-url]');
  if (text) {
    e.preventDefault();
    fetch(text.href).then((r) => r.text()).then(put);
    text.closest('details').open = false;
    return;
  }
  const hook = e.target.closest('[data-copy-hook]');
  if (hook) return put(hook.closest('[data-base]').dataset.base + '/api/webhooks/' + hook.dataset.copyHook);
  const key = e.target.closest('[data-copy-key]');
  if (key) return copyKey(key.dataset.copyKey);
  const b = e.target.closest('[data-copy]');
  if (!b) return;
  const source = b.dataset.copy ? document.getElementById(b.dataset.copy) : $('code,pre', b.parentElement);
  if (source) put(source.textContent, source);
});
