// What style sheets cannot do: prepare for print, and give the focus back.
(() => {
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // Print shrinks what is preformatted until its longest line fits: print.css.
  function measureLines() {
    each('pre', pre => {
      const longest = Math.max(...pre.textContent.split('\n').map(line => line.length));
      pre.style.setProperty('--longest', longest);
    });
  }

  // On paper: light colours, and what is collapsed is open.
  let theme, closed = [];
  function beforePrint() {
    const root = document.documentElement;
    theme ??= root.dataset.theme;
    root.dataset.theme = 'light';
    measureLines();
    each('details:not([open])', details => { details.open = true; closed.push(details); });
  }
  function afterPrint() {
    if (theme) document.documentElement.dataset.theme = theme;
    closed.forEach(details => { details.open = false; });
    [theme, closed] = [undefined, []];
  }
  addEventListener('beforeprint', beforePrint);
  addEventListener('afterprint', afterPrint);

  addEventListener('load', () => {
    measureLines();
    // The search dialog gives the focus back to what had it.
    const dialog = document.getElementById('pst-search-dialog');
    let before = null;
    if (dialog) {
      new MutationObserver(() => {
        if (!dialog.open && before?.isConnected) before.focus();
      }).observe(dialog, {attributeFilter: ['open']});
      addEventListener('focusin', event => { if (!dialog.contains(event.target)) before = event.target; });
    }
  });
})();
