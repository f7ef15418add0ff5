// Single keys. Never in fields or dialogs, never with modifiers, and they can be switched off.
import { $, $$ } from './util.js';
import { current, move, pick, selected } from './list.js';
import { step } from './incident.js';
import { act, askReason } from './forms.js';

const goTo = { i: '/incidents', a: '/alerts', t: '/insights', v: '/topology', c: '/connectors', p: '/postmortems', s: '/settings' };
let g = 0;

function acknowledge() {
  const button = $('.acts [data-key=a]') || $('.actionbar [data-key=a]');
  if (button) return button.click();
  const many = $('#bulk button[value=acknowledge]');
  if (selected().length) return many?.click();
  const tr = current();
  if (tr && many) act(`/incidents/${tr.dataset.row}/acknowledge`);
}
function resolve() {
  const link = $('.acts [data-key=r]') || $('.actionbar [data-key=r]');
  if (link) return link.click();
  const many = $('#bulk button[value=resolve]');
  if (selected().length) return many?.click();
  const tr = current();
  if (tr && many) askReason(tr.dataset.row, `/incidents/${tr.dataset.row}/resolve`);
}
function merge() {
  const link = $('[data-key=m]');
  if (link) return link.click();
  const many = $('#bulk button[value=merge]');
  if (selected().length) return many?.click();
  const tr = current();
  if (tr && many) location.href = `/incidents/${tr.dataset.row}?do=merge#merge-form`;
}
// What has its place on the page of an incident only.
function open(hash) {
  const tr = current();
  if (tr && $('#list')) location.href = `/incidents/${tr.dataset.row}${hash}`;
}
// Its text is no part of the page until somebody asks.
function help() {
  const dialog = $('#keys');
  const text = $('#keys template');
  text?.replaceWith(text.content);
  dialog?.showModal();
}
const steps = (by) => ($('#incident') ? step(by) : move(by));

const keys = {
  j: () => steps(1), k: () => steps(-1), ArrowDown: () => steps(1), ArrowUp: () => steps(-1),
  x: () => pick(false), X: () => pick(true), '.': () => $('.newpill:not([hidden]) button')?.click(), a: acknowledge, r: resolve, m: merge,
  c: () => ($('[data-comment]') ? $('[data-comment]').focus() : open('#cm')), f: () => ($('[data-follow]') ? $('[data-follow]').click() : open('#th')),
  '/': () => $('[data-search]')?.select(), '?': help,
  g: () => { g = Date.now(); },
};

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  const typing = e.target.matches('input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]');
  if (e.key === 'Escape') {
    for (const d of $$('details.menu[open]')) { d.open = false; $('summary', d).focus(); }
    if (typing) e.target.blur();
    return;
  }
  if (document.documentElement.dataset.keys === 'off' || typing || $('dialog[open]')) return;
  if (Date.now() - g < 1000 && goTo[e.key]) { g = 0; e.preventDefault(); location.href = goTo[e.key]; return; }
  // Arrows move the cursor in a list that has one; elsewhere they scroll as always.
  if (e.key.startsWith('Arrow') && !current()) return;
  const run = keys[e.key];
  if (run) { e.preventDefault(); run(); }
});
if (location.hash === '#cm') $('#cm')?.focus();
for (const b of $$('[data-open-keys]')) b.onclick = help;
