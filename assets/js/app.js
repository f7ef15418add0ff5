import './copy.js';
import './forms.js';
import './keys.js';
import './backtest.js';
import './complete.js';
import './browser.js';
import './session.js';
import { start } from './live.js';

document.documentElement.classList.add('on');
start();
