// The search page. MiniSearch finds and ranks; here are its words, the synonyms, and how results are shown.
(() => {
  const { groups, entries, synonyms } = globalThis.SEARCH_INDEX;
  const AT_ONCE = 5; // results of a group that are shown before one asks for more
  const EXCERPT = 230; // characters
  const WORD = /[\p{L}\p{N}]+(?:[-_.'’][\p{L}\p{N}]+)*/gu;
  const unique = (list) => [...new Set(list)];

  // ---- Words: "no-op" is found as "no", "op" and "noop", and each of them as it stands and as its stem.
  const stemmer = new Stemmer();
  const known = new Map(); // the same words come again and again
  function stemOf(word) {
    if (!known.has(word)) known.set(word, stemmer.stemWord(word));
    return known.get(word);
  }
  const wordsOf = (text) => text.toLowerCase().match(WORD) ?? [];
  const partsOf = (word) => word.split(/[^\p{L}\p{N}]+/u);
  const keysOf = (word) => unique([...partsOf(word), partsOf(word).join("")]);
  const formsOf = (key) => unique([key, stemOf(key)]);
  const stemsOf = (text) => wordsOf(text).flatMap(partsOf).map(stemOf);

  // ---- Synonyms: a phrase is one more word of its passage, the same for all of its line: "=7" for line 7.
  const meanings = new Map(); // the stems of a phrase -> that word
  synonyms.forEach((line, number) => line.forEach((phrase) => meanings.set(stemsOf(phrase).join(" "), `=${number}`)));
  const firsts = new Set([...meanings.keys()].map((stems) => stems.split(" ")[0]));
  const longest = Math.max(...[...meanings.keys()].map((stems) => stems.split(" ").length));
  // Every phrase in a row of stems, as [place, length, meaning].
  function phrasesIn(stems) {
    const found = [];
    stems.forEach((stem, place) => {
      for (let length = 1; firsts.has(stem) && length <= longest; length++) {
        const meaning = meanings.get(stems.slice(place, place + length).join(" "));
        if (meaning && place + length <= stems.length) found.push([place, length, meaning]);
      }
    });
    return found;
  }

  const engine = new MiniSearch({
    fields: ["title", "page", "text", "code"],
    tokenize: (text) => [...wordsOf(text).flatMap(keysOf), ...phrasesIn(stemsOf(text)).map((phrase) => phrase[2])],
    processTerm: (term) => (term[0] === "=" ? term : formsOf(term)),
  });
  engine.addAll(entries.map((entry, id) => ({ ...entry, id })));

  // ---- Query: every word has to occur, or a synonym of it.
  const all = (queries) => ({ combineWith: "AND", queries });
  const any = (queries) => ({ combineWith: "OR", queries });
  function queryOf(word) {
    const parts = partsOf(word);
    if (parts.length === 1) return any(formsOf(word));
    const together = { ...any([parts.join("")]), boostTerm: () => 6 };
    return any([together, all(parts.map((part) => any(formsOf(part))))]);
  }

  // A text as single words and as phrases that have synonyms, the longest phrase first.
  function piecesOf(text) {
    const words = wordsOf(text);
    const found = [];
    while (words.length) {
      const meaningOf = (count) => meanings.get(stemsOf(words.slice(0, count).join(" ")).join(" "));
      let count = Math.min(longest, words.length);
      while (count > 1 && !meaningOf(count)) count--;
      found.push({ meaning: meaningOf(count), words: words.splice(0, count) });
    }
    return found;
  }

  // Two texts of the same gist consist of the same words, or of synonyms.
  function gistOf(text) {
    return piecesOf(text).map(({ words, meaning }) => meaning ?? stemsOf(words[0]).join(" ")).join(" ");
  }

  function find(text) {
    const stopWords = new Set(stopwords);
    const pieces = piecesOf(text);
    const telling = pieces.filter(({ words, meaning }) => meaning || !stopWords.has(words[0]));
    const queries = (telling.length ? telling : pieces).map(({ words, meaning }) => {
      const typed = words.map(queryOf);
      // What was typed counts more than what means the same.
      return meaning ? all([meaning, any([meaning, ...typed])]) : typed[0];
    });
    const also = telling.filter(({ meaning }) => meaning).flatMap(({ words, meaning }) => {
      const typed = stemsOf(words.join(" ")).join(" ");
      return synonyms[meaning.slice(1)].filter((phrase) => stemsOf(phrase).join(" ") !== typed);
    });

    const isWord = (term) => term[0] !== "=";
    const fuzzy = (term) => (isWord(term) && term.length > 4 ? 0.2 : false);
    // First what has all words; else nearly the same words, for slips of the keyboard; else some of them.
    const tries = [
      [all(queries), {}, ""],
      [all(queries), { fuzzy }, "Nothing is written exactly so. These passages have similar words."],
      [any(queries), {}, "No passage has all of these words. These have some."],
    ];
    for (const [query, more, note] of queries.length ? tries : []) {
      const results = engine.search(query, {
        tokenize: (term) => [term],
        processTerm: (term) => term,
        boost: { title: 4, page: 0.5, text: 1, code: 0.3 },
        prefix: (term) => isWord(term) && term.length > 2,
        // The title of a page helps to find its passages, but is not enough for each of them.
        filter: ({ match }) => Object.values(match).flat().some((field) => field !== "page"),
        ...more,
      });
      const gist = gistOf(text);
      for (const result of results) if (gistOf(entries[result.id].title) === gist) result.score *= 3;
      results.sort((one, two) => two.score - one.score);
      if (results.length) return { results, also: unique(also), note };
    }
    return { results: [], also: unique(also), note: "" };
  }

  // ---- Page
  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  // The words of a text that were found, and the phrases that mean the same, as [start, end].
  function hitsIn(text, terms) {
    const words = [...text.matchAll(WORD)].map((match) => ({ start: match.index, word: match[0].toLowerCase() }));
    const hits = new Set(words.filter(({ word }) => keysOf(word).flatMap(formsOf).some((form) => terms.has(form))));
    const parts = words.flatMap((word) => partsOf(word.word).map((part) => ({ word, stem: stemOf(part) })));
    for (const [place, length, meaning] of phrasesIn(parts.map(({ stem }) => stem))) {
      if (terms.has(meaning)) parts.slice(place, place + length).forEach(({ word }) => hits.add(word));
    }
    return words.filter((word) => hits.has(word)).map(({ start, word }) => [start, start + word.length]);
  }

  function marked(text, hits, from = 0, to = text.length) {
    const shown = [];
    for (const [start, end] of hits) {
      if (start < from || end > to) continue;
      shown.push(text.slice(from, start), make("mark", {}, text.slice(start, end)));
      from = end;
    }
    return [...shown, text.slice(from, to)];
  }

  // The stretch of a text with the most different words of the query.
  function excerptOf(entry, terms) {
    const text = [entry.text, entry.code].find((one) => hitsIn(one, terms).length) ?? entry.text;
    const hits = hitsIn(text, terms);
    const different = (from) => {
      const near = hits.filter(([start, end]) => start >= from && end <= from + EXCERPT);
      return new Set(near.map((hit) => stemOf(text.slice(...hit).toLowerCase()))).size;
    };
    const starts = hits.map(([start]) => Math.max(0, start - 50));
    const best = starts.reduce((one, two) => (different(two) > different(one) ? two : one), starts[0] ?? 0);
    const from = best && text.indexOf(" ", best) + 1; // no half words
    const cut = text.lastIndexOf(" ", from + EXCERPT);
    const to = from + EXCERPT >= text.length ? text.length : cut > from ? cut : from + EXCERPT;
    return [from ? "… " : "", ...marked(text, hits, from, to), to < text.length ? " …" : ""];
  }

  function itemOf({ id, terms }) {
    const entry = entries[id];
    const found = new Set(terms);
    const link = make("a", { href: entry.url }, ...marked(entry.title, hitsIn(entry.title, found)));
    const where = entry.page === entry.title ? "" : make("span", { className: "search-page" }, entry.page);
    return make("li", {}, link, where, make("p", {}, ...excerptOf(entry, found)));
  }

  function sectionOf(group, results) {
    const list = make("ol", {}, ...results.slice(0, AT_ONCE).map(itemOf));
    const section = make("section", {}, make("h2", {}, `${group} (${results.length})`), list);
    const rest = results.slice(AT_ONCE);
    if (rest.length) {
      const label = `Show ${rest.length} more in ${group}`;
      const more = make("button", { type: "button", className: "search-more" }, label);
      more.addEventListener("click", () => {
        const items = rest.map(itemOf);
        list.append(...items);
        more.remove();
        items[0].querySelector("a").focus();
      });
      section.append(more);
    }
    return section;
  }

  const [status, place, help] = ["status", "results", "help"].map((id) => document.getElementById(`search-${id}`));
  function show(text) {
    const { results, also, note } = find(text);
    const shares = groups.map((group) => [group, results.filter(({ id }) => entries[id].group === group)]);
    const filled = shares.filter(([, found]) => found.length);
    const counts = filled.map(([group, found]) => `${group} ${found.length}`).join(", ");
    const heading = results.length
      ? `${results.length} ${results.length === 1 ? "result" : "results"} for “${text}”: ${counts}.`
      : `Nothing was found for “${text}”.`;
    const searched = also.length ? `Also searched for: ${also.join(", ")}.` : "";
    status.textContent = text ? [heading, note, searched].filter(Boolean).join(" ") : "";
    place.replaceChildren(...filled.map(([group, found]) => sectionOf(group, found)));
    help.hidden = !text || results.length > 0;
  }

  const field = document.querySelector("#search input[name=q]");
  let waiting;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => show(field.value.trim()), 250);
  });
  field.value = (new URLSearchParams(location.search).get("q") ?? "").trim();
  field.focus();
  show(field.value);
})();
