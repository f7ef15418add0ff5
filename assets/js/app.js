document.documentElement.classList.add('on');
