// A postmortem: who else is editing which part. Said beside its heading, where nothing moves.
import { $, $$, getJson, whisper } from './util.js';

const page = $('#postmortem');

export async function onEditing(e) {
  if (page?.dataset.id !== e.id) return;
  const others = await getJson(`/postmortems/${e.id}/editors`).catch(() => null);
  if (!others) return;
  for (const slot of $$('[data-editor]')) {
    const words = others[slot.dataset.editor] || '';
    const text = $('span', slot);
    if (words && words !== text.textContent) whisper(words);
    text.textContent = words;
    slot.hidden = !words;
  }
}
export const reread = () => page && onEditing({ id: page.dataset.id });
