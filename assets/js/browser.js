// The page of this browser's settings: its zone, its permission, its sound.
import { $ } from './util.js';

const f = $('form[data-browser]');
if (f) {
  const tz = f.elements.tz;
  // Proposed, and chosen with the other button.
  if (!tz.value) tz.value = Intl.DateTimeFormat().resolvedOptions().timeZone || '';
  tz.oninput = () => { f.elements.times.value = 'zone'; };
  const told = () => {
    if (!('Notification' in window)) $('#allowed').textContent = 'This browser shows no notifications on this address; most do so over https only.';
    else if (Notification.permission === 'denied') $('#allowed').textContent = 'Notifications are blocked for this address in the settings of the browser.';
  };
  told();
  f.onchange = async (e) => {
    if (e.target.name === 'notify' && e.target.value && 'Notification' in window && Notification.permission === 'default') {
      await Notification.requestPermission();
      told();
    }
  };
  $('[data-try-sound]', f).onclick = () => {
    const c = new AudioContext();
    for (const [n, hz] of [660, 880].entries()) {
      const o = c.createOscillator(), g = c.createGain(), at = c.currentTime + n * 0.18;
      o.frequency.value = hz;
      g.gain.setValueAtTime(0.15, at);
      g.gain.exponentialRampToValueAtTime(0.001, at + 0.16);
      o.connect(g).connect(c.destination);
      o.start(at);
      o.stop(at + 0.17);
    }
  };
}
