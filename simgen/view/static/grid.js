"use strict";
// The grid: a card an episode, its clip loaded and played while it is in sight.
(() => {
  const { el, by, figure, named, words } = physreel;
  const cards = new Map();
  let playing = !physreel.still.matches;
  let watched = null;

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const card = cards.get(entry.target);
      if (!card) continue;
      card.visible = entry.isIntersecting;
      if (entry.isIntersecting) card.sheets.load(); else card.sheets.unload();
      if (entry.isIntersecting) draw(card, performance.now());
    }
  }, { rootMargin: "200px" });

  function draw(card, now) {
    const { frames, every } = card.row.thumb;
    const moves = playing || watched === card;
    const frame = moves ? Math.floor((now / 1000) * card.row.rate / every) % frames : Math.floor(frames / 3);
    if (frame !== card.frame && card.sheets.draw(card.context, frame)) card.frame = frame;
  }

  function tick(now) {
    if (!by("browse").hidden) for (const card of cards.values()) if (card.visible) draw(card, now);
    requestAnimationFrame(tick);
  }
  requestAnimationFrame(tick);

  function badge(row) {
    if (row.possible === "no") return el("span", { className: "badge alarm" }, "impossible");
    const kind = row["twin.kind"];
    return kind && kind !== "original" ? el("span", { className: "badge" }, `twin: ${words(kind)}`) : null;
  }

  function cardOf(row, { source, address, varying, sort }) {
    const { width, height } = row.thumb;
    const canvas = el("canvas", { width, height, ariaHidden: "true" });
    const facts = varying.map((key) => row[key]).filter(Boolean).map(words).join(" · ");
    const { label, unit } = named(sort.replace(/^-/, ""));
    const link = el("a", {
      className: "card", href: address(row.id),
      style: { "--aspect": width / height, "aspect-ratio": "auto" },
    },
    el("span", { className: "picture", style: { "aspect-ratio": `${width} / ${height}` } }, canvas, badge(row)),
    el("span", { className: "says" }, row.caption || row.id),
    el("span", { className: "meta" }, facts || row.id,
      sort && el("b", { title: label }, typeof row.value === "string" ? words(row.value) : figure(row.value, unit))));
    const card = { row, visible: false, frame: -1, context: canvas.getContext("2d"),
      sheets: new physreel.Sheets(row.thumb, [source.thumb(row.id)]) };
    card.sheets.onready = () => {
      link.classList.toggle("missing", card.sheets.failed);
      card.frame = -1;
      draw(card, performance.now());
    };
    for (const name of ["pointerenter", "focus"]) link.addEventListener(name, () => { watched = card; });
    for (const name of ["pointerleave", "blur"]) link.addEventListener(name, () => { watched = null; card.frame = -1; draw(card, 0); });
    cards.set(link, card);
    return link;
  }

  physreel.showGrid = (rows, given) => {
    seen.disconnect();
    cards.clear();
    const grid = by("grid");
    grid.replaceChildren(...rows.map((row) => cardOf(row, given)));
    if (!rows.length) {
      grid.append(el("p", { className: "empty" }, "No episode is like that. ",
        el("a", { href: given.anew }, "Take all filters away")));
    } else {
      grid.append(...Array.from({ length: 4 }, () => el("span", { className: "filler" })));
    }
    for (const link of cards.keys()) seen.observe(link);
  };

  const motion = by("motion");
  const tell = () => { motion.textContent = playing ? "❚❚" : "▶"; motion.setAttribute("aria-pressed", String(playing)); };
  motion.onclick = () => { playing = !playing; for (const card of cards.values()) card.frame = -1; tell(); };
  tell();
})();
