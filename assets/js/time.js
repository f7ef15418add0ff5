// Relative times follow the server's clock, never the device's.
import { $$, clockAt } from './util.js';

let ahead = Number(document.documentElement.dataset.now) - Date.now();
export const now = () => Date.now() + ahead;
export function clockIs(ms) { ahead = ms - Date.now(); }

const NB = '\u00a0';
const two = (n) => String(n).padStart(2, '0');
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (s < 60) return s + NB + 's';
  if (m < 60) return m + NB + 'min';
  if (h < 24) return h + NB + 'h' + NB + two(m % 60);
  return Math.floor(h / 24) + NB + 'd' + NB + (h % 24) + NB + 'h';
}
export const clock = clockAt;

function tick() {
  if (document.hidden) return;
  const at = now();
  for (const el of $$('time[data-rel]')) {
    const age = at - Date.parse(el.dateTime);
    if (age < 604800000) {
      const text = duration(age) + el.dataset.rel;
      if (el.textContent !== text) el.textContent = text;
    }
  }
}
setInterval(tick, 15000);
document.addEventListener('visibilitychange', tick);
