"use strict";
// Where the data are: a server that answers queries, or a folder of files that one page can filter.
(() => {
  const delivered = new Map();
  const waiting = new Map();

  // Data files of a folder are scripts that call this: a page from a disk may load nothing else.
  physreel.deliver = (name, value) => {
    delivered.set(name, value);
    waiting.get(name)?.(value);
  };

  class ServerSource {
    async ask(path) {
      const answer = await fetch(path);
      const value = await answer.json();
      if (!answer.ok) throw new Error(value.error ?? answer.statusText);
      return value;
    }
    dataset() { return this.ask("api/dataset"); }
    page(query) { return this.ask(`api/episodes?${query}`); }
    episode(id) { return this.ask(`api/episode?id=${encodeURIComponent(id)}`); }
    curves(id) { return this.ask(`api/curves?id=${encodeURIComponent(id)}`); }
    thumb(id) { return `api/thumb?id=${encodeURIComponent(id)}`; }
    sheet(id, channel, part) { return `api/sheet?id=${encodeURIComponent(id)}&channel=${channel}&part=${part}`; }
  }

  class FolderSource {
    constructor(value) {
      this.value = value;
      this.numbers = new Map(value.rows.map((row, n) => [row.id, n]));
    }
    async dataset() { return this.value; }
    folder(id) {
      if (!this.numbers.has(id)) throw new Error(`episode ${id} is not among the ${this.value.rows.length} of this folder`);
      return `data/${String(this.numbers.get(id)).padStart(6, "0")}`;
    }
    load(folder, name) {
      const key = `${folder.slice("data/".length)}/${name}`;
      return new Promise((resolve, reject) => {
        if (delivered.has(key)) { resolve(delivered.get(key)); return; }
        waiting.set(key, resolve);
        const missing = () => reject(new Error(`${folder}/${name}.js is missing; copy the whole folder`));
        document.head.append(physreel.el("script", { src: `${folder}/${name}.js`, onerror: missing }));
      });
    }
    async episode(id) { return this.load(this.folder(id), "episode"); }
    async curves(id) { return this.load(this.folder(id), "curves"); }
    thumb(id) { return `${this.folder(id)}/thumb.webp`; }
    sheet(id, channel, part) { return `${this.folder(id)}/${channel}.${part}.webp`; }

    // The server's answers (view/query.py), found here: the folder has few episodes.
    async page(query) {
      const asked = new URLSearchParams(query);
      const tests = this.tests(asked);
      const all = this.value.rows.map((_, n) => n);
      const passing = (skip) => all.filter((n) => tests.every(([key, test]) => key === skip || test(n)));
      const found = this.sorted(passing(null), asked.get("sort") ?? "");
      const offset = Number(asked.get("offset") ?? 0), limit = Number(asked.get("limit") ?? 48);
      const column = this.value.columns[(asked.get("sort") ?? "").replace(/^-/, "")];
      const facets = {};
      for (const field of this.value.fields) {
        if (field.kind !== "category" || field.values.length < 2) continue;
        const counts = facets[field.key] = {};
        for (const n of passing(field.key)) {
          const value = this.value.columns[field.key][n];
          if (value !== null) counts[value] = (counts[value] ?? 0) + 1;
        }
      }
      const rows = found.slice(offset, offset + limit)
        .map((n) => (column ? { ...this.value.rows[n], value: column[n] } : this.value.rows[n]));
      return { total: found.length, offset, rows, facets };
    }

    tests(asked) {
      const { columns, texts, rows } = this.value;
      const tests = (asked.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean)
        .map((word) => ["text", (n) => texts[n].includes(word) || rows[n].id.toLowerCase() === word]);
      for (const name of new Set(asked.keys())) {
        const key = name.slice(3);
        if (name.startsWith("is.")) {
          const wanted = new Set(asked.getAll(name));
          tests.push([key, (n) => wanted.has(columns[key][n])]);
        } else if (name.startsWith("in.")) {
          const [low, high] = asked.get(name).split(",");
          const from = low === "" ? -Infinity : Number(low), to = high === "" ? Infinity : Number(high);
          tests.push([key, (n) => columns[key][n] !== null && columns[key][n] >= from && columns[key][n] <= to]);
        }
      }
      return tests;
    }

    sorted(found, sort) {
      const column = this.value.columns[sort.replace(/^-/, "")];
      if (!column) return found;
      const sign = sort.startsWith("-") ? -1 : 1;
      const order = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : sign * (a < b ? -1 : 1));
      return [...found].sort((a, b) => order(column[a], column[b]) || a - b);
    }
  }

  physreel.source = () => (delivered.has("dataset") ? new FolderSource(delivered.get("dataset")) : new ServerSource());
})();
