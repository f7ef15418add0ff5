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

document.addEventListener('click', (e) => {
  if (e.target.closest('[data-copy-link]')) return put(location.origin + location.pathname);
  const b = e.target.closest('[data-copy]');
  if (!b) return;
  const source = b.dataset.copy ? document.getElementById(b.dataset.copy) : $('code,pre', b.parentElement);
  if (source) put(source.textContent, source);
});
