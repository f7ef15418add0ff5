// A backtest that runs: how far it has come, and the page once more at its end.
import { $, getJson } from './util.js';

const box = $('[data-backtest]');

async function look() {
  const b = await getJson(`/api/backtests/${box.dataset.backtest}`).catch(() => null);
  if (b && b.state !== 'running') return location.reload();
  if (b?.to_play) {
    $('[data-played]', box).textContent = b.played;
    $('[data-of]', box).textContent = b.to_play;
  }
  setTimeout(look, 1000);
}

if (box) setTimeout(look, 1000);
