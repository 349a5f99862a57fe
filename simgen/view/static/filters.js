"use strict";
// The filters beside the grid: categories with their counts, numbers as ranges on a histogram.
(() => {
  const { el, svg, by, figure, named, words } = physreel;
  const GROUPS = { episode: "Episode", events: "Events", margins: "Outcome's margins", parameters: "Parameters",
    twin: "Twin", quality: "Quality" };
  const varies = (field) => (field.kind === "category" ? field.values.length > 1 : field.high > field.low);

  function category(field, state) {
    const chosen = state.query.getAll(`is.${field.key}`);
    const boxes = field.values.map((value) => {
      const count = el("span", { className: "number" });
      const bar = el("i");
      const box = el("input", { type: "checkbox", checked: chosen.includes(value),
        onchange: () => {
          const kept = state.query.getAll(`is.${field.key}`).filter((other) => other !== value);
          state.query.delete(`is.${field.key}`);
          for (const other of box.checked ? [...kept, value] : kept) state.query.append(`is.${field.key}`, other);
          state.changed();
        } });
      return { value, count, bar, box, line: el("label", { className: "value" }, box, el("span", null, words(value)), count, bar) };
    });
    return {
      field, node: el("fieldset", null, el("legend", null, named(field.key).label), boxes.map((b) => b.line)),
      update(facets) {
        const counts = facets[field.key] ?? {};
        const most = Math.max(1, ...Object.values(counts));
        for (const { value, count, bar, box, line } of boxes) {
          box.checked = state.query.getAll(`is.${field.key}`).includes(value);
          count.textContent = figure(counts[value] ?? 0);
          bar.style.width = `${100 * (counts[value] ?? 0) / most}%`;
          line.classList.toggle("none", !counts[value]);
        }
      },
    };
  }

  function range(field, state) {
    const { label, unit } = named(field.key);
    const steps = field.whole && field.high - field.low <= 1000 ? field.high - field.low : 200;
    const at = (step) => field.low + (field.high - field.low) * step / steps;
    const most = Math.max(...field.bins);
    const bars = field.bins.map((count, n) => svg("rect", { x: n + 0.08, width: 0.84,
      y: 1 - Math.sqrt(count / most), height: Math.sqrt(count / most) }));
    const ends = ["least", "most"].map((word) => el("input", { type: "range", min: 0, max: steps, step: 1,
      ariaLabel: `${label}, ${word}` }));
    const said = el("output");
    const values = () => ends.map((end) => Number(end.value)).sort((a, b) => a - b);
    const tell = () => {
      const [low, high] = values();
      said.textContent = `${figure(at(low))} – ${figure(at(high), unit)}`;
      bars.forEach((bar, n) => bar.classList.toggle("out",
        (n + 1) / bars.length <= low / steps || n / bars.length >= high / steps && high < steps));
    };
    for (const end of ends) {
      end.oninput = tell;
      end.onchange = () => {
        const [low, high] = values();
        const name = `in.${field.key}`;
        if (low === 0 && high === steps) state.query.delete(name);
        else state.query.set(name, `${low === 0 ? "" : at(low)},${high === steps ? "" : at(high)}`);
        state.changed();
      };
    }
    return {
      field,
      node: el("div", { className: "range", role: "group", ariaLabel: label }, el("p", null, el("span", null, label), said),
        el("div", { className: "track" },
          svg("svg", { viewBox: `0 0 ${bars.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" }, bars), ends)),
      update() {
        const [low, high] = (state.query.get(`in.${field.key}`) ?? ",").split(",");
        const step = (text, other) => (text === "" ? other : Math.round((Number(text) - field.low) / (field.high - field.low) * steps));
        ends[0].value = step(low, 0);
        ends[1].value = step(high, steps);
        tell();
      },
    };
  }

  physreel.Filters = class {
    constructor(fields, state) {
      const shown = fields.filter(varies);
      this.parts = shown.map((field) => (field.kind === "category" ? category : range)(field, state));
      this.state = state;
      this.groups = Object.entries(GROUPS).map(([name, title]) => {
        const parts = this.parts.filter((part) => part.field.group === name);
        const mark = el("span", { className: "number" });
        return parts.length ? { parts, mark, node: el("details", { open: name === "episode" },
          el("summary", null, title, mark), parts.map((part) => part.node)) } : null;
      }).filter(Boolean);
      by("filters").replaceChildren(...this.groups.map((group) => group.node));
      by("sort").replaceChildren(el("option", { value: "" }, "catalog's order"),
        ...Object.entries(GROUPS).map(([name, title]) => {
          const options = shown.filter((field) => field.group === name && field.key !== "index")
            .map((field) => el("option", { value: field.key }, named(field.key).label));
          return options.length ? el("optgroup", { label: title }, options) : "";
        }));
    }

    update(facets) {
      for (const part of this.parts) part.update(facets);
      for (const { parts, mark, node } of this.groups) {
        const active = parts.filter((part) => this.state.query.has(`is.${part.field.key}`) || this.state.query.has(`in.${part.field.key}`));
        mark.textContent = active.length ? figure(active.length) : "";
        if (active.length) node.open = true;
      }
    }

    // what is filtered by, each with a way to take it back
    chips() {
      const { query, changed } = this.state;
      const chip = (name, text, drop) => el("button", { type: "button", className: "chip", ariaLabel: `without ${name} ${text}`,
        onclick: () => { drop(); changed(); } }, el("span", null, name), ` ${text} `, el("i", { ariaHidden: "true" }, "×"));
      const made = [];
      for (const name of new Set(query.keys())) {
        const key = name.slice(3);
        const { label, unit } = named(key);
        if (name === "text" && query.get(name)) made.push(chip("words", query.get(name), () => query.delete(name)));
        if (name.startsWith("is.")) made.push(chip(label, query.getAll(name).map(words).join(" or "), () => query.delete(name)));
        if (name.startsWith("in.")) {
          const [low, high] = query.get(name).split(",").map((end) => (end === "" ? "" : figure(Number(end))));
          const text = low === "" ? `up to ${high}` : high === "" ? `from ${low}` : low === high ? low : `${low} to ${high}`;
          made.push(chip(label, `${text}${unit && ` ${unit}`}`, () => query.delete(name)));
        }
      }
      return made;
    }
  };
})();
