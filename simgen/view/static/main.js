"use strict";
// The page's address decides what it shows: #?QUERY the grid, #/EPISODE?QUERY one clip.
(() => {
  const { el, by, figure, words } = physreel;
  const root = document.documentElement;
  const LIMIT = 48;
  const CARD_FACTS = ["family", "outcome", "split", "engine"];
  const KEYS = [["Space", "play or pause"], ["← →", "one frame, with Shift eight"], ["Home End", "first, last frame"], ["[ ]", "slower, faster"],
    ["e E", "next, last event"], ["n p", "next, previous clip"], ["Esc", "back to the grid"], ["/", "search"], ["?", "these keys"]];
  const state = { query: new URLSearchParams(), changed };
  let source, dataset, filters, listing = null, asked = 0;

  const address = (id) => `#/${encodeURIComponent(id)}?${state.query}`;
  const gridAddress = () => `#?${state.query}`;

  function changed(keepPage) {
    if (keepPage !== true) state.query.delete("offset");
    const hash = gridAddress();
    if (location.hash === hash) show(); else location.hash = hash;
  }

  async function list() {
    const query = state.query.toString();
    if (listing?.query !== query) listing = { query, ...await source.page(`${query}&limit=${LIMIT}`) };
    return listing;
  }

  async function showGrid() {
    const page = await list();
    const varying = CARD_FACTS.filter((key) => dataset.fields.find((field) => field.key === key)?.values.length > 1);
    physreel.showGrid(page.rows, { source, address, varying, sort: state.query.get("sort") ?? "", anew: "#?" });
    filters.update(page.facets);
    const chips = filters.chips();
    by("chips").replaceChildren(...chips, ...(chips.length > 1 ? [el("a", { href: "#?" }, "Clear all")] : []));
    by("count").textContent = page.total === dataset.episodes ? `${figure(page.total)} episodes` : `${figure(page.total)} of ${figure(dataset.episodes)}`;
    const sort = state.query.get("sort") ?? "";
    by("sort").value = sort.replace(/^-/, "");
    by("text").value = state.query.get("text") ?? "";
    by("direction").textContent = sort.startsWith("-") ? "↓" : "↑";
    by("direction").ariaPressed = String(sort.startsWith("-"));
    by("direction").disabled = !sort;
    pager(page);
    document.title = `${dataset.name} · physreel`;
  }

  function pager({ total, offset }) {
    const pages = Math.ceil(total / LIMIT), page = Math.floor(offset / LIMIT);
    const go = (to) => {
      const query = new URLSearchParams(state.query);
      if (to) query.set("offset", to * LIMIT); else query.delete("offset");
      return `#?${query}`;
    };
    const number = el("input", { type: "number", min: 1, max: pages, value: page + 1, ariaLabel: "page",
      onchange: () => { location.hash = go(physreel.clamp(Math.round(Number(number.value)) || 1, 1, pages) - 1); } });
    by("pager").replaceChildren(...(pages > 1 ? [
      page > 0 ? el("a", { href: go(page - 1), rel: "prev" }, "← Previous") : el("span"),
      el("span", null, "page ", number, ` of ${figure(pages)}`),
      page < pages - 1 ? el("a", { href: go(page + 1), rel: "next" }, "Next →") : el("span")] : []));
  }

  // the clips before and after in the list that the grid shows, over the edge of a page too
  async function neighbours(id) {
    const page = await list();
    const at = page.rows.findIndex((row) => row.id === id);
    if (at < 0) return [null, null];
    const beyond = async (offset) => {
      if (offset < 0 || offset >= page.total) return null;
      const query = new URLSearchParams(state.query);
      query.set("offset", offset);
      return (await source.page(`${query}&limit=1`)).rows[0]?.id ?? null;
    };
    return [page.rows[at - 1]?.id ?? await beyond(page.offset + at - 1), page.rows[at + 1]?.id ?? await beyond(page.offset + at + 1)];
  }

  async function showClip(id) {
    const [episode, [last, next]] = await Promise.all([source.episode(id), neighbours(id)]);
    if (location.hash.slice(2).split("?")[0] !== encodeURIComponent(id)) return;
    const nav = { back: gridAddress(), last: last && address(last), next: next && address(next), to: address };
    physreel.showClip(new physreel.Clip(source, dataset, episode, nav));
    document.title = `${episode.captions.short ?? id} · ${dataset.name}`;
    scrollTo(0, 0);
  }

  async function show() {
    const mine = ++asked;
    const [, id, query] = location.hash.match(/^#(?:\/([^?]*))?(?:\?(.*))?$/) ?? [];
    state.query = new URLSearchParams(query ?? "");
    const grid = !id;
    root.dataset.page = grid ? "grid" : "clip";
    try {
      if (grid) { physreel.showClip(null); await showGrid(); } else await showClip(decodeURIComponent(id));
      if (mine !== asked) return;
      by("wait").hidden = true;
      by("browse").hidden = !grid;
      by("clip").hidden = grid;
    } catch (error) {
      fail(error);
    }
  }

  function fail(error) {
    by("browse").hidden = by("clip").hidden = true;
    by("wait").hidden = false;
    const message = error instanceof TypeError && error.message.includes("fetch") ? "The server has ended; run simgen view again." : error.message;
    by("wait").replaceChildren(message, " ", el("a", { href: "#?" }, "All episodes"));
  }

  function head() {
    by("name").textContent = words(dataset.name);
    by("about").textContent = dataset.description;
    const inside = Object.fromEntries(dataset.fields.map((field) => [field.key, field.kind === "category" ? field.values : [field.high]]));
    const shapes = (inside.bucket ?? []).map((name) => name.replace(/^t(\d+)_(\d+)x(\d+)$/, "$3 × $2, $1 frames"));
    by("figures").replaceChildren(...[`${figure(dataset.episodes)} episodes`, shapes.length > 2 ? `${shapes.length} shapes` : shapes.join("; "),
      dataset.quarantined ? `${figure(dataset.quarantined)} quarantined` : "", dataset.licence].filter(Boolean).map((text) => el("span", null, text)));
    by("foot").textContent = `Shown by physreel ${dataset.version}${dataset.recipe_hash ? `, recipe ${dataset.recipe_hash.slice(0, 12)}` : ""}. This page asks no other machine for anything.`;
  }

  function controls() {
    let later;
    by("text").oninput = () => {
      clearTimeout(later);
      later = setTimeout(() => {
        const text = by("text").value.trim();
        if (text) state.query.set("text", text); else state.query.delete("text");
        changed();
      }, 250);
    };
    by("sort").onchange = () => {
      const key = by("sort").value;
      const number = dataset.fields.find((field) => field.key === key)?.kind === "number";
      if (key) state.query.set("sort", (number ? "-" : "") + key); else state.query.delete("sort");
      changed();
    };
    by("direction").onclick = () => {
      const sort = state.query.get("sort");
      state.query.set("sort", sort.startsWith("-") ? sort.slice(1) : `-${sort}`);
      changed();
    };
    by("show-filters").onclick = () => {
      const open = by("filters").classList.toggle("open");
      by("show-filters").ariaExpanded = String(open);
    };
    by("skip").onclick = (event) => { event.preventDefault(); by("main").focus(); };
    by("keys").append(el("h2", null, "Keys"), el("dl", null, KEYS.map(([key, text]) => el("div", null, el("dt", null, key), el("dd", null, text)))),
      el("form", { method: "dialog" }, el("button", { className: "plain" }, "Close")));
    by("help").onclick = () => by("keys").showModal();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const theme = (isDark) => { root.dataset.theme = isDark ? "dark" : "light"; };
    theme(dark.matches);
    dark.onchange = (event) => theme(event.matches);
    by("theme").onclick = () => theme(root.dataset.theme !== "dark");
    document.addEventListener("keydown", onkey);
  }

  function onkey(event) {
    const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || by("keys").open || typing && event.key !== "Escape") return;
    if (typing) { event.target.blur(); return; }
    if (event.key === " " && event.target.matches("button, summary, input")) return;
    if (event.key === "Home" && !physreel.shownClip()) return;
    const deed = { "?": () => by("keys").showModal(), "/": () => { if (!by("browse").hidden) by("text").focus(); } }[event.key]
      ?? physreel.shownClip()?.key(event);
    if (deed) { event.preventDefault(); deed(); }
  }

  async function begin() {
    controls();
    try {
      source = physreel.source();
      dataset = await source.dataset();
      filters = new physreel.Filters(dataset.fields, state);
      head();
      window.addEventListener("hashchange", show);
      await show();
    } catch (error) { fail(error); }
  }
  begin();
})();
