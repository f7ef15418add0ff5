// Desktop notifications and sound: off until somebody switches them on, in this browser only, from the tab that has the
// connection. The page says what was chosen: `data-notify` (critical, all) and `data-sound` (once, until somebody has it).
import { $, fragment } from './util.js';

const chosen = document.documentElement.dataset;
const get = (k) => { try { return localStorage.getItem(k) || ''; } catch { return ''; } };
const set = (k, v) => { try { localStorage.setItem(k, v); } catch { /* closed */ } };
const told = new Set();
const ringing = new Map();
let burst = [];

// -- one's own actions are no news ---------------------------------------------------------------------------------
document.addEventListener('submit', (e) => {
  const url = e.submitter?.getAttribute('formaction') || e.target.getAttribute('action') || '';
  if (e.target.method === 'post' && url.startsWith('/incidents')) set('wf-own', `${Date.now()} ${url}`);
}, true);
function own(e) {
  const [at, url = ''] = get('wf-own').split(' ');
  if (Date.now() - at > 5000) return false;
  return e.created ? !/\/INC-/.test(url) : url.startsWith(`/incidents/${e.id}/`);
}

export function onIncident(e) {
  if (e.owner || e.group === 'closed') ringing.delete(e.id);
  const wanted = chosen.notify;
  const rings = chosen.sound;
  if (!wanted && !rings) return;
  const worth = e.severity === 'critical' || (wanted === 'all' && e.created);
  const woken = e.change === 'snoozed' && e.group === 'someone';
  if (e.group === 'muted') return;
  if (!worth || (told.has(e.id) && !woken) || e.owner || !(e.created || e.change === 'severity' || woken) || own(e)) return;
  told.add(e.id);
  if (told.size > 500) told.delete(told.values().next().value);
  const row = fragment(`<table><tbody>${e.html}</tbody></table>`);
  if (wanted) show(e, $('a.t', row)?.textContent.trim() || e.id);
  if (rings) ring(e, rings);
}

// Many at once are told as one.
function show(e, title) {
  if (!('Notification' in window) || Notification.permission !== 'granted') return;
  burst = burst.filter((at) => Date.now() - at < 10000);
  burst.push(Date.now());
  const many = burst.length > 3;
  const words = many ? `${burst.length} incidents at once` : `${e.severity === 'critical' ? 'Critical: ' : ''}${title}`;
  const n = new Notification(words, { tag: many ? 'wf-many' : `wf-${e.id}`, body: many ? '' : e.id, icon: $('#favicon')?.href });
  n.onclick = () => { focus(); location.href = many ? '/incidents' : `/incidents/${e.id}`; n.close(); };
}

// -- sound: two plain tones, made here -----------------------------------------------------------------------------
let audio = null;
function tone() {
  try {
    audio ||= new AudioContext();
    audio.resume();
    for (const [n, hz] of [660, 880].entries()) {
      const o = audio.createOscillator();
      const g = audio.createGain();
      const at = audio.currentTime + n * 0.18;
      o.frequency.value = hz;
      g.gain.setValueAtTime(0.0001, at);
      g.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
      g.gain.exponentialRampToValueAtTime(0.0001, at + 0.16);
      o.connect(g).connect(audio.destination);
      o.start(at);
      o.stop(at + 0.17);
    }
  } catch { /* no sound here */ }
  chosen.rang = Number(chosen.rang || 0) + 1;
}
function ring(e, how) {
  // Where tabs cannot agree on one connection, the first one rings.
  const [id, at] = get('wf-rang').split(' ');
  if (id === e.id && Date.now() - at < 10000) return;
  set('wf-rang', `${e.id} ${Date.now()}`);
  tone();
  if (how === 'until') ringing.set(e.id, Date.now());
}
setInterval(() => {
  for (const [id, since] of ringing) if (Date.now() - since > 600000) ringing.delete(id);
  if (ringing.size && chosen.sound === 'until') tone();
}, 8000);
