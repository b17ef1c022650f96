// What style sheets cannot do: prepare for print, enlarge figures, shorten tables, and give the focus back.
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

  // A narrow screen has a button below each figure; a tap on the figure does the same. Esc and the button close.
  function enlarge(figure) {
    const shown = document.createElement('dialog');
    shown.className = 'enlarged';
    shown.setAttribute('aria-label', 'Enlarged figure');
    const close = document.createElement('button');
    close.textContent = 'Close';
    close.addEventListener('click', () => shown.close());
    const scroller = document.createElement('div');
    scroller.tabIndex = 0;
    // Ids of its own: a pattern that is referred to in a part that is not shown isn't drawn.
    const svg = figure.querySelector('.wide svg') ?? figure.querySelector('svg');
    scroller.innerHTML = svg.outerHTML.replace(/(id="|"#|url\(#)(?=[wn]\d+-)/g, '$1large-');
    shown.append(close, scroller);
    shown.addEventListener('close', () => shown.remove());
    document.body.append(shown);
    shown.showModal();
  }
  function addButtons() {
    each('.figure-svg', figure => {
      const button = document.createElement('button');
      button.className = 'enlarge';
      button.textContent = 'Enlarge';
      button.addEventListener('click', () => enlarge(figure));
      figure.after(button);
      figure.addEventListener('click', () => { if (button.checkVisibility()) enlarge(figure); });
    });
  }

  // A narrow screen shows the first rows of a long table, and a button for the others and back.
  function shortenTables() {
    each('.numbers.folds', table => {
      const rows = table.querySelectorAll('tbody tr');
      if (rows.length < 10) return;
      table.classList.add('long');
      const button = document.createElement('button');
      button.className = 'all-rows';
      const told = () => {
        const isLong = table.classList.contains('long');
        button.textContent = isLong ? `All ${rows.length} rows` : 'Fewer rows';
        button.ariaExpanded = String(!isLong);
      };
      told();
      button.addEventListener('click', () => {
        const next = [...rows].find(row => !row.checkVisibility());
        table.classList.toggle('long');
        told();
        if (next) {  // the first of the new rows, so that nobody has to look for it
          next.tabIndex = -1;
          next.focus();
        } else table.scrollIntoView({block: 'nearest'});
      });
      table.after(button);
    });
  }

  addEventListener('load', () => {
    measureLines();
    addButtons();
    shortenTables();
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
