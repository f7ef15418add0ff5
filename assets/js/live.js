// One stream for all tabs: the tab that holds the lock owns the connection and hands events to the others.
import { $, $$, fragment, getJson } from './util.js';
import { clock, clockIs, now } from './time.js';
import { onRow, onCounts, onViews, reread as rereadList } from './list.js';
import { onThought, onAlert, stale, reread as rereadIncident } from './incident.js';
import { onEditing, reread as rereadPostmortem } from './postmortem.js';
import { stale as staleAlerts } from './alerts.js';
import { onIncident } from './notify.js';

const badge = $('#live');
const banner = $('#offline');
const icon = $('#favicon');
const channel = 'BroadcastChannel' in window ? new BroadcastChannel('watchfire-live') : null;
const waits = [1, 2, 4, 8, 16, 30];
const TYPES = ['row', 'thought', 'alert', 'panels', 'counts', 'delivery', 'topology', 'mutes', 'notifications', 'editing', 'reset', 'tick'];

let paused = false;
let source = null;
let last = document.body.dataset.live;
const drawn = Number(last);
let tries = 0;
let retryAt = 0;
let retry = 0;
let heard = Date.now();
let downSince = 0;
let fresh = now();
let telling = 0;

// -- what events do ------------------------------------------------------------------------------------------------
const on = {
  tick: (e) => { clockIs(e.now); onViews(e.views); arrived(); },
  row: (e) => { onRow(e); stale(e.id); },
  panels: (e) => stale(e.id),
  thought: onThought,
  alert: (e) => { onAlert(e); stale(e.id); staleAlerts(); },
  counts,
  delivery,
  topology: () => changed('topology'),
  mutes: () => changed('mutes'),
  // Who was told; one incident may tell many.
  notifications: () => { changed('notifications'); telling ||= setTimeout(() => { telling = 0; rereadIncident(); }, 3000); },
  editing: onEditing,
  reset: () => { arrived(); rereadList(); rereadIncident(); rereadPostmortem(); staleAlerts(); changed(); },
};

// What is read does not move: the reader asks for what is new.
function changed(of) { for (const e of $$('[data-changed]')) if (!of || e.dataset.changed === of) e.hidden = false; }

function counts(c) {
  const own = document.body.dataset.title;
  document.title = (own ? (c.unowned ? `(${c.unowned}) ` : '') + own : c.headline) + ' · Watchfire';
  if (icon && !icon.dataset.was) icon.href = c.favicon;
  else if (icon) icon.dataset.was = c.favicon;
  if (document.hidden) { missed = c; return; }
  const beacon = $('#beacon');
  if (beacon) beacon.replaceChildren(fragment(c.beacon));
  for (const n of $$('[data-open]')) { n.textContent = c.badge; n.classList.toggle('hot', c.unowned > 0); }
  onCounts(c);
}

// Set-up waits for the first alert, also for one that came before the stream was there.
async function arrived() {
  const w = $('#waiting');
  if (!w) return;
  const r = await getJson('/setup/arrived?after=' + w.dataset.after).catch(() => null);
  if (r?.received) location.href = '/setup/people';
}

function delivery(e) {
  arrived();
  if (e.accepted) staleAlerts();
  for (const p of $$('[data-arrived]')) if (p.dataset.arrived === e.platform || (e.accepted && p.dataset.arrived === 'any')) p.hidden = false;
  const body = $('#connector-rows');
  if (!body || !e.html) return;
  const tr = fragment(`<table><tbody>${e.html}</tbody></table>`).querySelector('tr');
  const old = $(`tr[data-platform="${CSS.escape(e.platform)}"]`, body);
  if (old) old.replaceWith(tr); else body.append(tr);
  $('#set-up').hidden = false;
}

for (const b of $$('[data-reload]')) b.onclick = () => location.reload();

// A hidden tab keeps its title and draws when it is looked at again.
let held = [];
let missed = null;
function take(type, data, seq) {
  heard = Date.now();
  fresh = now();
  const asof = $('[data-asof]');
  if (asof && !paused && !document.hidden) asof.textContent = clock(fresh);
  if (seq) last = seq;
  if (paused) return;
  if (document.hidden && type !== 'counts' && type !== 'tick' && !$('#waiting')) {
    held.push([type, data]);
    if (held.length > 500) held = [['reset', {}]];
    return;
  }
  on[type]?.(data);
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  const all = held;
  held = [];
  for (const [type, data] of all) on[type]?.(data);
  if (missed) counts(missed);
  missed = null;
  if (owner) soon();
  // The tab that has the connection may be asleep behind this one.
  else if (downSince) channel.postMessage({ type: 'soon' });
});

// -- the connection ------------------------------------------------------------------------------------------------
let owner = !channel;
function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource('/live?after=' + encodeURIComponent(last || ''));
  source.onopen = () => { tries = 0; state('live'); };
  // The browser gives up for good on some answers, so every break gets a new connection of our own.
  source.onerror = broken;
  source.addEventListener('again', connect);
  for (const type of TYPES) {
    source.addEventListener(type, (e) => {
      const data = JSON.parse(e.data);
      state('live');
      // Told by the tab that has the connection, whichever is looked at.
      if (type === 'row') onIncident(data);
      take(type, data, e.lastEventId);
      channel?.postMessage({ type, data, seq: e.lastEventId });
    });
  }
}
function broken() {
  source?.close();
  source = null;
  state('down');
  const wait = waits[Math.min(tries, waits.length - 1)] * 1000 * (0.8 + Math.random() * 0.4);
  tries += 1;
  retryAt = Date.now() + wait;
  clearTimeout(retry);
  retry = setTimeout(connect, wait);
  channel?.postMessage({ type: 'down', retryAt });
}
function soon() { if (owner && source?.readyState !== 1) { tries = 0; connect(); } }
addEventListener('online', () => { if (owner) soon(); else channel?.postMessage({ type: 'soon' }); });
$('[data-reconnect]')?.addEventListener('click', () => { if (owner) soon(); else channel?.postMessage({ type: 'soon' }); });

channel?.addEventListener('message', ({ data: m }) => {
  if (m.type === 'down') { retryAt = m.retryAt || 0; return state('down'); }
  if (m.type === 'soon') return soon();
  if (m.type === 'hello') { if (owner && source?.readyState !== 1) channel.postMessage({ type: 'down', retryAt }); return; }
  state('live');
  heard = Date.now();
  // A page that was drawn later than this has it already; a beat has the number of what came before it.
  if (m.type !== 'tick' && Number(m.seq) <= drawn) return;
  take(m.type, m.data, m.seq);
});

// -- what the reader is told ---------------------------------------------------------------------------------------
function state(s) {
  if (s === 'live') {
    if (!downSince && document.documentElement.dataset.stream) return;
    downSince = 0;
    if (banner) banner.hidden = true;
    hills(false);
    if (icon?.dataset.was) { icon.href = icon.dataset.was; delete icon.dataset.was; }
    document.documentElement.dataset.stream = 'live';
  } else if (!downSince) {
    downSince = Date.now();
    document.documentElement.dataset.stream = 'down';
  }
  label();
}
// The fire on the hill may be out by now.
let fire = '';
function hills(off) {
  const hill = $('#beacon use');
  if (!hill || off === !!fire) return;
  if (!off) { $('#beacon').replaceChildren(fragment(fire)); fire = ''; return; }
  fire = $('#beacon').innerHTML;
  hill.setAttribute('href', hill.getAttribute('href').replace(/#.*/, '#beacon-offline'));
  $('#beacon b').textContent = 'Not live';
}
function label() {
  if (!badge) return;
  const [cls, words] = paused ? ['live paused', 'Paused by you'] : downSince ? ['live off', 'Reconnecting'] : ['live', 'Live'];
  badge.className = cls;
  badge.lastElementChild.textContent = words;
}
badge?.closest('button')?.addEventListener('click', () => {
  paused = !paused;
  label();
  if (!paused) { rereadList(); rereadIncident(); rereadPostmortem(); staleAlerts(); }
});
setInterval(() => {
  if (owner && source?.readyState === 1 && Date.now() - heard > 40000) broken();
  if (!owner && Date.now() - heard > 45000) state('down');
  if (!downSince || Date.now() - downSince < 5000 || !banner) return;
  if (icon && !icon.dataset.was) { icon.dataset.was = icon.href; icon.href = icon.dataset.offline; }
  banner.hidden = false;
  hills(true);
  $('[data-since]', banner).textContent = clock(fresh) + ' UTC';
  const s = Math.ceil((retryAt - Date.now()) / 1000);
  $('[data-retry]', banner).textContent = s > 0 ? `Trying again in ${s} s.` : '';
}, 1000);

export function start() {
  if (last === undefined && !$('#waiting')) return;
  if (!channel || !navigator.locks) { owner = true; connect(); return; }
  channel.postMessage({ type: 'hello' });
  navigator.locks.request('watchfire-live', () => { owner = true; connect(); return new Promise(() => {}); });
}
// A page that goes to the back/forward cache must let the lock go.
addEventListener('pagehide', (e) => { if (e.persisted) { source?.close(); source = null; } });
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
